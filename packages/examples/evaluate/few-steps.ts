/**
 * How much does the portraits model lose when it draws in a few steps? Draws new prompts with and without the LoRA of
 * `npm run tune:portraits -- few-steps`, and evaluates the pictures with the classifier.
 *
 *   npm run eval:few-steps                                       the shipped ones
 *   … --model runs/portraits/model --lora runs/portraits/few-steps/lora
 *
 * Writes `results.json`, from which a stopped run resumes, `results.md` and `few-steps.png` into `--out`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid, useBackend } from "@tfjs-diffusion/core";
import { PORTRAITS_2 } from "../datasets/portraits-2/index.js";
import { loadClassifier } from "../classifier/classifier-files.js";
import { promptsOf } from "./prompts.js";
import { percent } from "../src/percent.js";
import { scoreTable } from "./report.js";
import { type CellScores, scoreCells } from "./run.js";
import { type DrawingOptions, openSampler } from "./sampler.js";
import { fingerprint, ResultStore } from "./store.js";
import { LORA_FILE } from "../train/portraits/tuning.js";
import { countOption, guidanceOption, scriptOptions } from "../train/script-options.js";

const WEIGHTS = fileURLToPath(new URL("../../weights/", import.meta.url));
const { options } = scriptOptions({
  model: { type: "string", default: join(WEIGHTS, "portraits") },
  /** Folder of the LoRA. */
  lora: { type: "string", default: join(WEIGHTS, "portraits-loras", "few-steps") },
  classifier: { type: "string", default: join(WEIGHTS, "portraits-classifier") },
  out: { type: "string", default: "out/eval-few-steps" },
  /** Prompts of each split and style. */
  prompts: { type: "string", default: "300" },
  /** The guidance scale without the LoRA. */
  guidance: { type: "string", default: "3" },
  batch: { type: "string", default: "100" },
  backend: { type: "string" },
});
const { model, classifier: classifierFolder, out } = options;
const count = countOption("prompts", options.prompts);
const guidance = guidanceOption("guidance", options.guidance);
const batch = countOption("batch", options.batch);

/** A way to draw, and the numbers of steps to try. */
interface Way extends DrawingOptions {
  name: string;
  guidance: number;
  steps: readonly number[];
}
const lora = join(options.lora, LORA_FILE);
const WAYS: readonly Way[] = [
  { name: "the model, DDIM", guidance, steps: [20, 4] },
  { name: "the model, DPM-Solver++", scheduler: "DPMSolverMultistepScheduler", guidance, steps: [4] },
  { name: "with the LoRA, LCM", scheduler: "LCMScheduler", lora, guidance: 1, steps: [4, 2, 1] },
];

const { name: backend } = await useBackend(options.backend);
const classifier = await loadClassifier(classifierFolder);
mkdirSync(out, { recursive: true });
const settings = { kind: PORTRAITS_2, batch };
const shown = promptsOf({ purpose: "reporting", split: "held-out", style: "full" }, 16, PORTRAITS_2).map(
  ({ text }) => text,
);
const rows: { title: string; cells: CellScores[] }[] = [];
const pictures: tf.Tensor4D[] = [];
for (const { name, guidance, steps, ...drawing } of WAYS) {
  const store = new ResultStore(
    join(out, `${name.replace(/\W+/g, "-")}.json`),
    fingerprint(model, options.lora, classifierFolder),
  );
  const { sample, dispose } = await openSampler(model, drawing);
  for (const number of steps) {
    const setting = { guidance, steps: number };
    const cells = await scoreCells({ sample, classifier, settings, store }, "reporting", setting, count, [1]);
    rows.push({ title: `${name}, ${number} ${number === 1 ? "step" : "steps"}, guidance ${guidance}`, cells });
    pictures.push(await sample(shown, { ...setting, seed: 0 }));
  }
  dispose();
}
classifier.dispose();

const mean = ({ cells }: { cells: CellScores[] }) =>
  cells.reduce((sum, { scores }) => sum + scores.mean.share, 0) / cells.length;
const lost = (i: number) => percent(mean(rows[0]!) - mean(rows.at(i)!));
const markdown = `${count} fresh prompts a cell, one seed, backend ${backend}: attributes as requested / pictures with all of them.

${scoreTable(rows)}

Of the mean over these four, the LoRA loses ${lost(-3)} (points) in 4 steps, ${lost(-2)} in 2 and ${lost(-1)} in 1, against 20 steps of DDIM.
`;
writeFileSync(join(out, "results.md"), markdown);
const sheet = tf.tidy(() => imageGrid(tf.concat(pictures), { columns: shown.length, gap: 1, scale: 2 }));
writeFileSync(join(out, "few-steps.png"), await encodePng(sheet));
tf.dispose([pictures, sheet]);
console.log(`\n${markdown}\nWritten to ${out}.`);
