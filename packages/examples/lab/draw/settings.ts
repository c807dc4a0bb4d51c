import type { WorkerPicture } from "@tfjs-diffusion/core/worker";
import { captionWords } from "../../datasets/portraits-2/words.js";

/** A model to draw with, and what can be set for it. */
export interface DrawModel {
  readonly name: string;
  /** Its own size, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Steps and guidance that suit it. */
  readonly steps: number;
  readonly guidanceScale: number;
  /** Samplers to choose from: the value of the setting, and what the page calls it. */
  readonly samplers: Readonly<Record<string, string>>;
  /** Its own sampler, one of these. */
  readonly sampler: string;
  /** Every word of its captions; undefined if they are not known. */
  readonly words?: readonly string[];
  /** What else can be set, or given. */
  readonly takes: { readonly [option in "negativePrompt" | "guidanceScale" | "image" | "mask" | "fewSteps"]: boolean };
}

/** All that decides what is drawn. */
export interface DrawSettings {
  /** The name of a {@link DrawModel}. */
  model: string;
  prompt: string;
  negativePrompt: string;
  guidanceScale: number;
  steps: number;
  /** A key of the model's samplers. */
  sampler: string;
  /** Seed of PyTorch's generator, so that diffusers draws the same. */
  seed: number;
  width: number;
  height: number;
  /** Draw with the few-steps LoRA, without guidance. */
  fewSteps: boolean;
  /** How much of a given picture is drawn anew, 0 to 1. */
  strength: number;
}

/** Pictures to begin from. */
export interface DrawInputs {
  image?: WorkerPicture;
  /** White where the picture is drawn anew; given with `image` only. */
  mask?: WorkerPicture;
}

/** The portraits model, drawn with in the tab itself; its samplers are schedulers' classes. */
export const PORTRAITS: DrawModel = {
  name: "portraits",
  width: 32,
  height: 32,
  steps: 10,
  guidanceScale: 3,
  samplers: {
    DDIMScheduler: "DDIM",
    DPMSolverMultistepScheduler: "DPM-Solver++",
    UniPCMultistepScheduler: "UniPC",
    EulerDiscreteScheduler: "Euler",
    EulerAncestralDiscreteScheduler: "Euler, ancestral",
    HeunDiscreteScheduler: "Heun (two calls a step)",
    DDPMScheduler: "DDPM",
  },
  sampler: "DDIMScheduler",
  words: captionWords(),
  takes: { negativePrompt: true, guidanceScale: true, image: true, mask: true, fewSteps: true },
};

/** What is drawn first with a model. */
export function defaultsOf({ name, steps, guidanceScale, sampler, width, height }: DrawModel): DrawSettings {
  return {
    model: name,
    prompt: "a smiling woman with long blonde hair",
    negativePrompt: "",
    guidanceScale,
    steps,
    sampler,
    seed: 0,
    width,
    height,
    fewSteps: false,
    strength: 0.7,
  };
}

/** Sizes to choose from, in pixels: the model's own, and wider and larger ones. */
export function sizesOf({ width, height }: DrawModel): readonly (readonly [width: number, height: number])[] {
  const shapes: [number, number][] = [[1, 1], [1.5, 1], [2, 1], [1, 1.5], [2, 2]]; // prettier-ignore
  return shapes.map(([across, down]) => [across * width, down * height]);
}

/** With the few-steps LoRA: the sampler that it was trained for, and its own range of steps. */
export const FEW_STEPS = { name: "few-steps", sampler: "LCMScheduler", steps: 4, most: 8 } as const;

/** Most steps that can be set. */
export const MOST_STEPS = 50;

/** The settings that differ from what is drawn first, as the part of an address after "#". */
export function toHash(settings: DrawSettings, models: readonly DrawModel[]): string {
  const usual = { ...defaultsOf(modelOf(settings, models)), model: models[0]!.name };
  const entries = Object.entries(settings).filter(([name, value]) => value !== usual[name as keyof DrawSettings]);
  return new URLSearchParams(entries.map(([name, value]) => [name, String(value)])).toString();
}

/** The model of the settings; the first of all if there is none of that name. */
export function modelOf({ model }: Pick<DrawSettings, "model">, models: readonly DrawModel[]): DrawModel {
  return models.find(({ name }) => name === model) ?? models[0]!;
}

/** Reads {@link toHash}. What is unknown, or cannot be a value, is as in {@link defaultsOf}. */
export function fromHash(hash: string, models: readonly DrawModel[]): DrawSettings {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const model = modelOf({ model: given.get("model") ?? "" }, models);
  const usual = defaultsOf(model);
  const entries = Object.entries(usual).map(([name, value]: [string, string | number | boolean]) => {
    const text = given.get(name);
    if (text === null) return [name, value];
    if (typeof value === "boolean") return [name, text === "true"];
    if (typeof value === "string") return [name, text];
    return [name, text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : value];
  });
  return fitted({ ...(Object.fromEntries(entries) as DrawSettings), model: model.name }, model);
}

/** The settings with what the model can do, in place of what it cannot, and with numbers in their ranges. */
export function fitted(settings: DrawSettings, model: DrawModel): DrawSettings {
  const usual = defaultsOf(model);
  const isSize = sizesOf(model).some(([width, height]) => width === settings.width && height === settings.height);
  const { width, height } = isSize ? settings : usual;
  const fewSteps = settings.fewSteps && model.takes.fewSteps;
  const within = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));
  return {
    ...settings,
    ...{ width, height, fewSteps },
    sampler: Object.hasOwn(model.samplers, settings.sampler) ? settings.sampler : usual.sampler,
    steps: Math.round(within(settings.steps, 1, fewSteps ? FEW_STEPS.most : MOST_STEPS)),
    guidanceScale: within(settings.guidanceScale, 1, 9),
    seed: Math.round(within(settings.seed, 0, 2 ** 32 - 1)),
    strength: within(settings.strength, 0.1, 1),
  };
}
