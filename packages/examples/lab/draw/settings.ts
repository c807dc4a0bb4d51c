import type { WorkerPicture } from "@tfjs-diffusion/core/worker";

/** All that decides what is drawn. */
export interface DrawSettings {
  prompt: string;
  negativePrompt: string;
  guidanceScale: number;
  steps: number;
  /** Class of the scheduler, as configs name it. */
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
  /** White where the picture is drawn anew. */
  mask?: WorkerPicture;
}

export const DEFAULTS: DrawSettings = {
  prompt: "a smiling woman with long blonde hair",
  negativePrompt: "",
  guidanceScale: 3,
  steps: 12,
  sampler: "DDIMScheduler",
  seed: 0,
  width: 32,
  height: 32,
  fewSteps: false,
  strength: 0.7,
};

/** Samplers to choose from, by their classes: the plain name, and what it is. */
export const SAMPLERS: Readonly<Record<string, string>> = {
  DDIMScheduler: "DDIM",
  DPMSolverMultistepScheduler: "DPM-Solver++",
  UniPCMultistepScheduler: "UniPC",
  EulerDiscreteScheduler: "Euler",
  EulerAncestralDiscreteScheduler: "Euler, ancestral",
  HeunDiscreteScheduler: "Heun (two calls a step)",
  DDPMScheduler: "DDPM",
};

/** Sizes to choose from, in pixels: those of the training, and wider and larger ones. */
export const SIZES: readonly (readonly [width: number, height: number])[] = [
  [32, 32],
  [48, 32],
  [64, 32],
  [32, 48],
  [64, 64],
];

/** With the few-steps LoRA: the sampler that it was trained for, and its own range of steps. */
export const FEW_STEPS = { name: "few-steps", sampler: "LCMScheduler", steps: 4, most: 8 } as const;

/** The settings that differ from the defaults, as the part of an address after "#". */
export function toHash(settings: DrawSettings): string {
  const entries = Object.entries(settings).filter(([name, value]) => value !== DEFAULTS[name as keyof DrawSettings]);
  return new URLSearchParams(entries.map(([name, value]) => [name, String(value)])).toString();
}

/** Reads {@link toHash}. What is unknown, or cannot be a value, keeps its default. */
export function fromHash(hash: string): DrawSettings {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const entries = Object.entries(DEFAULTS).map(([name, value]: [string, string | number | boolean]) => {
    const text = given.get(name);
    if (text === null) return [name, value];
    if (typeof value === "boolean") return [name, text === "true"];
    if (typeof value === "string") return [name, text];
    return [name, text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : value];
  });
  const read = Object.fromEntries(entries) as DrawSettings;
  const isSize = SIZES.some(([width, height]) => width === read.width && height === read.height);
  const { width, height } = isSize ? read : DEFAULTS;
  const sampler = Object.hasOwn(SAMPLERS, read.sampler) ? read.sampler : DEFAULTS.sampler;
  const within = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));
  return {
    ...read,
    ...{ width, height, sampler },
    steps: Math.round(within(read.steps, 1, read.fewSteps ? FEW_STEPS.most : 50)),
    guidanceScale: within(read.guidanceScale, 1, 9),
    seed: Math.round(within(read.seed, 0, 2 ** 32 - 1)),
    strength: within(read.strength, 0.1, 1),
  };
}
