import * as tf from "@tensorflow/tfjs";
import { PORTRAITS } from "../datasets/portraits/index.js";
import { distance, diversity, mean, saturation } from "./chart-numbers.js";
import { captionsWithout, type Prompt, promptsOf } from "./prompts.js";
import { type FaceReader, readings01, type Setting } from "./context.js";
import { openSampler } from "./sampler.js";
import { judge } from "./score.js";
import type { ResultStore } from "./store.js";

/** What charts are measured with. */
export interface ChartSettings {
  /** Folder of the model. */
  model: string;
  classifier: FaceReader;
  store: ResultStore;
  /** Of all charts but its own. */
  guidance: number;
  /** Pictures for each point. */
  pictures: number;
}

const STEPS = 20;
/** Pictures of one description, where it matters how much they differ. */
const NOISES = 8;
/** Steps that lead as good as exactly to the end of a trajectory. */
const EXACT = 200;

const DDIM = ["DDIM", "DDIMScheduler"] as const;
const DPM = ["DPM-Solver++", "DPMSolverMultistepScheduler"] as const;
const DETERMINISTIC = [DDIM, ["Euler", "EulerDiscreteScheduler"], DPM, ["UniPC", "UniPCMultistepScheduler"]] as const;

/**
 * Short descriptions, each drawn from several noises: how many attributes are right, how vivid and how different the
 * pictures are.
 */
export async function measureGuidance(settings: ChartSettings) {
  const descriptions = promptsOf(
    { purpose: "choosing", split: "seen", style: "short" },
    Math.ceil(settings.pictures / NOISES),
    PORTRAITS,
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

/** The same descriptions from other noise: how many attributes are right. */
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

/** How many attributes are right after so many calls of the network. */
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

/** How far from the end of their trajectories samplers without fresh noise draw, as root mean square over pixels. */
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

/** Short captions that do not speak of eyewear: how many wear glasses, with and without a negative prompt. */
export async function measureNegative(settings: ChartSettings) {
  const captions = captionsWithout("eyewear", settings.pictures, PORTRAITS);
  const cases = ["", "glasses"].flatMap((negative) => [2, 3, 5, 7].map((guidance) => ({ negative, guidance })));
  return each(cases, ({ negative, guidance }) =>
    drawn("negative", settings, { guidance, negative, steps: STEPS, seed: 0 }, captions, async (images) => {
      const readings = await readings01(settings.classifier, images);
      const worn = readings.map(({ eyewear }) => Number(eyewear === "glasses"));
      return { guidance, negative: negative || "none", share: mean(worn) };
    }),
  );
}

/** One after the other: each opens the model. */
async function each<T, R>(values: readonly T[], measure: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const value of values) results.push(await measure(value));
  return results;
}

/**
 * Draws captions and lets `measure` look at the pictures, which it borrows; what it finds for a chart is kept in the
 * store.
 */
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
  promptsOf({ purpose: "choosing", split: "held-out", style: "full" }, pictures, PORTRAITS);

/** Share of the attributes asked for that are there. */
async function accuracy({ classifier }: ChartSettings, prompts: readonly Prompt[], images: tf.Tensor4D) {
  const readings = await readings01(classifier, images);
  const verdicts = prompts.flatMap((prompt, i) => [...judge(prompt, readings[i]!)].filter((mark) => mark !== "-"));
  return mean(verdicts.map(Number));
}
