/**
 * Measures the shipped model of faces: does it draw what is asked, does it compose, does it copy?
 *
 *   node packages/examples/dist/train/eval-faces.js           everything; hours on one core, can be stopped and goes on
 *   node packages/examples/dist/train/eval-faces.js --quick   a few prompts, to see that it runs
 *
 * First a grid of guidance and steps on prompts kept for choosing, then the best setting on fresh prompts with several
 * sampling seeds. Writes `results.json`, `results.md` and `real-and-generated.png` into `--out`.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { TextToImagePipeline, useBackend } from "@tfjs-diffusion/core";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { loadClassifier } from "./classifier-files.js";
import { evaluateFaces, type EvaluationSettings, type Sampler } from "./eval-run.js";
import { reportMarkdown } from "./eval-report.js";
import { ResultStore } from "./eval-store.js";

const WEIGHTS = fileURLToPath(new URL("../../weights/", import.meta.url));

const { values: options } = parseArgs({
  options: {
    model: { type: "string", default: join(WEIGHTS, "faces") },
    classifier: { type: "string", default: join(WEIGHTS, "faces-classifier") },
    out: { type: "string", default: "out/eval-faces" },
    /** Fresh prompts of each split and style for the reported setting. */
    prompts: { type: "string", default: "1000" },
    /** Prompts of each split and style for each setting of the grid. */
    "grid-prompts": { type: "string", default: "200" },
    seeds: { type: "string", default: "3" },
    batch: { type: "string", default: "100" },
    /** The seed of the model's training data, for the distance to its pictures. */
    "training-seed": { type: "string", default: "0" },
    backend: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});

const settings: EvaluationSettings = {
  guidances: options.quick ? [1, 3] : [1, 3, 5, 7.5],
  steps: options.quick ? [10] : [20, 50],
  gridPrompts: options.quick ? 10 : Number(options["grid-prompts"]),
  prompts: options.quick ? 20 : Number(options.prompts),
  seeds: Array.from({ length: options.quick ? 1 : Number(options.seeds) }, (_, seed) => seed),
  batch: Number(options.batch),
  trainingSeed: Number(options["training-seed"]),
  trainingPictures: options.quick ? 1000 : 50_000,
};

const { name: backend } = await useBackend(options.backend);
const [classifier, pipeline] = await Promise.all([
  loadClassifier(options.classifier),
  TextToImagePipeline.fromPretrained(options.model),
]);
const scheduler = schedulerFromConfig({ ...pipeline.parts.scheduler.config, _class_name: "DDIMScheduler" });

const sample: Sampler = async (captions, { guidance, steps, seed }) => {
  const { images, latents } = await pipeline.generate({
    prompt: captions,
    guidanceScale: guidance,
    numInferenceSteps: steps,
    seed,
    scheduler,
  });
  latents.dispose();
  return images;
};

mkdirSync(options.out, { recursive: true });
const store = new ResultStore(join(options.out, "results.json"), fingerprint(options.model, options.classifier));
const results = await evaluateFaces({ sample, classifier, settings, store });
const markdown = reportMarkdown(results, settings, backend);
writeFileSync(join(options.out, "results.md"), markdown);
writeFileSync(join(options.out, "real-and-generated.png"), Buffer.from(results.pictures.sheet, "base64"));
console.log(`\n${markdown}`);
console.log(`Written to ${options.out}.`);
classifier.dispose();
pipeline.dispose();

/** Changes when any file of the folders does: results of other weights are not mixed in. */
function fingerprint(...folders: string[]): string {
  const hash = createHash("sha256");
  for (const folder of folders) {
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
      const path = join(folder, name);
      if (statSync(path).isFile()) hash.update(name).update(readFileSync(path));
    }
  }
  return hash.digest("hex");
}
