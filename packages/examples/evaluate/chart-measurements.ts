import * as tf from "@tensorflow/tfjs";
import { PORTRAITS_2 } from "../datasets/portraits-2/index.js";
import { distance, diversity, mean, saturation } from "./chart-numbers.js";
import { captionsWithout, type Prompt, promptsOf } from "./prompts.js";
import { type FaceReader, readings01, type Setting } from "./context.js";
import { openSampler } from "./sampler.js";
import { judge } from "./score.js";
import type { ResultStore } from "./store.js";

/** Settings of the measurements for charts. */
export interface ChartSettings {
  /** Folder of the model. */
  model: string;
  classifier: FaceReader;
  store: ResultStore;
  /** The guidance scale of all charts except that of guidance. */
  guidance: number;
  /** Pictures for each point. */
  pictures: number;
}

const STEPS = 20;
/** The number of pictures of one description, to measure how much they differ. */
const NOISES = 8;
/** Enough steps to reach the end of a trajectory almost exactly. */
const EXACT = 200;

const DDIM = ["DDIM", "DDIMScheduler"] as const;
const DPM = ["DPM-Solver++", "DPMSolverMultistepScheduler"] as const;
const DETERMINISTIC = [DDIM, ["Euler", "EulerDiscreteScheduler"], DPM, ["UniPC", "UniPCMultistepScheduler"]] as const;

/**
 * Draws short captions, each from several noises, and measures how many attributes are right, how vivid the pictures
 * are, and how much they differ.
 */
export async function measureGuidance(settings: ChartSettings) {
  const descriptions = promptsOf(
    { purpose: "choosing", split: "seen", style: "short" },
    Math.ceil(settings.pictures / NOISES),
    PORTRAITS_2,
  );
  const prompts = descriptions.flatMap((prompt) => Array<Prompt>(NOISES).fill(prompt));
  return each([1, 2, 3, 5, 7, 9], (guidance) =>
    drawn("guidance", settings, { guidance, steps: STEPS, seed: 0 }, texts(prompts), async (images) => ({
      guidance,
      accuracy: await accuracy(settings, prompts, images),
      saturation: saturation(images),
      diversity: mean(
        tf.tidy(() => tf.split(images, descriptions.length).map((group) => diversity(group as tf.Tensor4D))),
      ),
    })),
  );
}

/** How many attributes are right when the same captions are drawn from other noise. */
export async function measureSeeds(settings: ChartSettings) {
  const prompts = fullPrompts(settings);
  return each(
    Array.from({ length: 8 }, (_, seed) => seed),
    (seed) =>
      drawn("seeds", settings, { guidance: settings.guidance, steps: STEPS, seed }, texts(prompts), async (images) => ({
        seed,
        accuracy: await accuracy(settings, prompts, images),
      })),
  );
}

/** How many attributes are right, by number of calls of the network. */
export async function measureSteps(settings: ChartSettings) {
  const prompts = fullPrompts(settings);
  const cases = [DDIM, DPM].flatMap((sampler) => [2, 3, 4, 6, 10, 20, 50].map((steps) => ({ sampler, steps })));
  return each(cases, ({ sampler: [name, scheduler], steps }) =>
    drawn(
      "steps",
      settings,
      { scheduler, guidance: settings.guidance, steps, seed: 0 },
      texts(prompts),
      async (images) => ({
        name,
        steps,
        accuracy: await accuracy(settings, prompts, images),
      }),
    ),
  );
}

/** How far deterministic samplers end from the end of the trajectory, as root mean square over pixels. */
export async function measureSamplers(settings: ChartSettings) {
  const captions = texts(fullPrompts(settings)).slice(0, 32);
  const { guidance } = settings;
  return drawn("samplers, all", settings, { guidance, steps: EXACT, seed: 0 }, captions, (exact) => {
    const cases = DETERMINISTIC.flatMap((sampler) => [5, 8, 12, 20, 40].map((steps) => ({ sampler, steps })));
    return each(cases, ({ sampler: [name, scheduler], steps }) =>
      drawn("samplers", settings, { scheduler, guidance, steps, seed: 0 }, captions, (images) => ({
        name,
        steps,
        distance: distance(images, exact),
      })),
    );
  });
}

/** How many faces wear glasses when captions do not mention eyewear, with and without a negative prompt. */
export async function measureNegative(settings: ChartSettings) {
  const captions = captionsWithout("eyewear", settings.pictures, PORTRAITS_2);
  const cases = ["", "glasses"].flatMap((negative) => [2, 3, 5, 7].map((guidance) => ({ negative, guidance })));
  return each(cases, ({ negative, guidance }) =>
    drawn("negative", settings, { guidance, negative, steps: STEPS, seed: 0 }, captions, async (images) => {
      const readings = await readings01(settings.classifier, images);
      const worn = readings.map(({ eyewear }) => Number(eyewear === "glasses"));
      return { guidance, negative: negative || "none", share: mean(worn) };
    }),
  );
}

/** Runs `measure` for the values one after the other, because each run opens the model. */
async function each<T, R>(values: readonly T[], measure: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const value of values) results.push(await measure(value));
  return results;
}

/** Draws captions and measures the pictures, which `measure` borrows. The result is kept in the store. */
async function drawn<R>(
  chart: string,
  { model, store }: ChartSettings,
  { scheduler, ...setting }: Setting & { seed: number; scheduler?: string },
  captions: string[],
  measure: (images: tf.Tensor4D) => R | Promise<R>,
): Promise<R> {
  return store.once(JSON.stringify({ chart, scheduler, ...setting, captions }), async () => {
    const { sample, dispose } = await openSampler(model, { scheduler });
    const images = await sample(captions, setting);
    try {
      return await measure(images);
    } finally {
      images.dispose();
      dispose();
    }
  });
}

const texts = (prompts: readonly Prompt[]) => prompts.map(({ text }) => text);

const fullPrompts = ({ pictures }: ChartSettings) =>
  promptsOf({ purpose: "choosing", split: "held-out", style: "full" }, pictures, PORTRAITS_2);

/** Share of the requested attributes that the pictures show. */
async function accuracy({ classifier }: ChartSettings, prompts: readonly Prompt[], images: tf.Tensor4D) {
  const readings = await readings01(classifier, images);
  const verdicts = prompts.flatMap((prompt, i) => [...judge(prompt, readings[i]!)].filter((mark) => mark !== "-"));
  return mean(verdicts.map(Number));
}
