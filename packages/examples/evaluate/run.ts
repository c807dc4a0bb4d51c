import { keyedRandom } from "@tfjs-diffusion/schedulers";
import type { Face } from "../datasets/faces/index.js";
import { drawn, readings01, type Context, type Scoring, type Setting } from "./context.js";
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

export interface CellScores extends Setting {
  readonly split: PromptSet["split"];
  readonly style: PromptSet["style"];
  readonly scores: Scores;
  /** Share of the held-out pairs in the prompts that are drawn as requested. */
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
    // The seeds differ from those of the grid, so that the reported scores do not depend on the noise that chose the
    // setting.
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

/** A difference too small to justify more steps: a tenth of a percent of the attributes. */
const NEGLIGIBLE = 0.001;

/**
 * The setting with the best mean over splits and styles. Among settings within a tenth of a percent of it, the one with
 * the fewest steps, then the better one.
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

/** The attributes that the classifier recognises in the pictures of a prompt set. */
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
