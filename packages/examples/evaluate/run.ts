import * as tf from "@tensorflow/tfjs";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { SingleBar } from "cli-progress";
import type { Face, FaceKind } from "../datasets/faces/index.js";
import { pictureFacts, unconditionalFacts, type PictureFacts, type UnconditionalFacts } from "./facts.js";
import { promptsOf, type Prompt, type PromptSet, type Purpose } from "./prompts.js";
import {
  confusions,
  judge,
  packReading,
  score,
  scorePairs,
  unpackReading,
  type Confusion,
  type Estimate,
  type Scores,
} from "./score.js";
import type { ResultStore } from "./store.js";

/** Draws one picture a caption: [captions.length, size, size, 3] in [0, 1], which the caller owns. */
export type Sampler = (captions: string[], options: Setting & { seed: number }) => Promise<tf.Tensor4D>;

/** Says what pictures [B, size, size, 3] in [-1, 1] show; borrows them. */
export interface FaceReader {
  read(pixels: tf.Tensor4D): Promise<Partial<Face>[]>;
}

export interface EvaluationSettings {
  readonly kind: FaceKind;
  readonly guidances: readonly number[];
  readonly steps: readonly number[];
  readonly gridPrompts: number;
  readonly prompts: number;
  /** Sampling seeds of the reported setting. */
  readonly seeds: readonly number[];
  readonly batch: number;
  readonly trainingSeed: number;
  readonly trainingPictures: number;
}

export interface Setting {
  readonly guidance: number;
  readonly steps: number;
  /** What to draw away from, default "". */
  readonly negative?: string;
}

export interface CellScores extends Setting {
  readonly split: PromptSet["split"];
  readonly style: PromptSet["style"];
  readonly scores: Scores;
  /** Of the pairs held out of training that are asked for, those drawn as asked. */
  readonly pairs?: Estimate;
  readonly mistakes: readonly Confusion[];
}

export interface EvaluationResults {
  readonly grid: CellScores[];
  readonly chosen: Setting;
  readonly reported: CellScores[];
  readonly pictures: PictureFacts;
  readonly unconditional: UnconditionalFacts;
}

/** What pictures are drawn and read with. */
export interface Scoring {
  readonly sample: Sampler;
  readonly classifier: FaceReader;
  readonly settings: Pick<EvaluationSettings, "kind" | "batch">;
  readonly store: ResultStore;
}

/** What a whole evaluation works with. */
export interface Context extends Scoring {
  readonly settings: EvaluationSettings;
}

export async function evaluateFaces(context: Context): Promise<EvaluationResults> {
  const { settings } = context;
  const grid: CellScores[] = [];
  for (const steps of settings.steps) {
    for (const guidance of settings.guidances) {
      grid.push(...(await scoreCells(context, "choosing", { guidance, steps }, settings.gridPrompts, [0])));
    }
  }
  const chosen = bestSetting(grid);
  return {
    grid,
    chosen,
    // Other seeds than the grid's: not even the noise of the choice is reported.
    reported: await scoreCells(
      context,
      "reporting",
      chosen,
      settings.prompts,
      settings.seeds.map((seed) => seed + 1),
    ),
    pictures: await pictureFacts(context, chosen),
    unconditional: await unconditionalFacts(context, chosen),
  };
}

/** Scores of seen and held-out descriptions, in full and short captions. */
export async function scoreCells(
  context: Scoring,
  purpose: Purpose,
  setting: Setting,
  count: number,
  seeds: readonly number[],
): Promise<CellScores[]> {
  const cells: CellScores[] = [];
  for (const split of ["seen", "held-out"] as const) {
    for (const style of ["full", "short"] as const) {
      const set = { purpose, split, style };
      const prompts = promptsOf(set, count, context.settings.kind);
      const readings: Partial<Face>[][] = [];
      for (const seed of seeds) readings.push(await readingsOf(context, set, prompts, setting, seed));
      const verdicts = readings.map((ofSeed) => prompts.map((prompt, i) => judge(prompt, ofSeed[i]!)));
      cells.push({
        ...setting,
        split,
        style,
        scores: score(verdicts, keyedRandom(0, "bootstrap")),
        pairs: scorePairs(prompts, readings, keyedRandom(0, "bootstrap")),
        mistakes: confusions(
          seeds.flatMap(() => prompts),
          readings.flat(),
        ),
      });
    }
  }
  return cells;
}

/** A difference too small to pay for: a tenth of a percent of the attributes. */
const NEGLIGIBLE = 0.001;

/**
 * The setting with the best mean over splits and styles; of those as good but for a tenth of a percent, the fewest
 * steps, then the better.
 */
export function bestSetting(grid: readonly CellScores[]): Setting {
  const mean = ({ guidance, steps }: Setting) => {
    const cells = grid.filter((cell) => cell.guidance === guidance && cell.steps === steps);
    return cells.reduce((sum, { scores }) => sum + scores.mean.share, 0) / cells.length;
  };
  const enough = Math.max(...grid.map(mean)) - NEGLIGIBLE;
  const [best] = grid
    .filter((cell) => mean(cell) >= enough)
    .sort((a, b) => a.steps - b.steps || mean(b) - mean(a) || a.guidance - b.guidance);
  return { guidance: best!.guidance, steps: best!.steps };
}

/** What the pictures of a prompt set show. */
async function readingsOf(
  context: Scoring,
  set: PromptSet,
  prompts: readonly Prompt[],
  setting: Setting,
  seed: number,
): Promise<Partial<Face>[]> {
  const { purpose, split, style } = set;
  const key = `${purpose}, ${split}, ${style}, ${prompts.length}, guidance ${setting.guidance}, steps ${setting.steps}, seed ${seed}`;
  const texts = prompts.map(({ text }) => text);
  const packed = await context.store.once(key, async () => {
    const readings: string[] = [];
    for await (const images of drawn(context, texts, setting, seed, key)) {
      readings.push(...(await readings01(context.classifier, images)).map(packReading));
    }
    return readings;
  });
  return packed.map(unpackReading);
}

/** Draws the texts with a progress bar: batches [n, size, size, 3] in [0, 1], each valid until the next. */
export async function* drawn(
  { sample, settings }: Pick<Scoring, "sample" | "settings">,
  texts: readonly string[],
  setting: Setting,
  seed: number,
  title: string,
): AsyncGenerator<tf.Tensor4D> {
  const bar = new SingleBar({ format: `[{bar}] {value}/{total} {eta_formatted} left | ${title}` });
  bar.start(texts.length, 0);
  try {
    for (let first = 0; first < texts.length; first += settings.batch) {
      const batch = texts.slice(first, first + settings.batch);
      const images = await sample(batch, { ...setting, seed: seed * 1_000_000 + first });
      try {
        yield images;
      } finally {
        images.dispose();
      }
      bar.update(first + batch.length);
    }
  } finally {
    bar.stop();
  }
}

/** What pictures in [0, 1] show. */
export async function readings01(classifier: FaceReader, images: tf.Tensor4D): Promise<Partial<Face>[]> {
  const signed = tf.tidy(() => images.mul(2).sub<tf.Tensor4D>(1));
  const readings = await classifier.read(signed);
  signed.dispose();
  return readings;
}
