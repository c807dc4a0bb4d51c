/**
 * Measures a model of faces: does it follow the prompt, does it combine attributes in new ways, does it copy training
 * pictures?
 *
 *   node packages/examples/dist/evaluate/faces.js           everything; hours on one core; can be stopped and resumed
 *   node packages/examples/dist/evaluate/faces.js --quick   a few prompts, to see that it runs … --kind portraits  
 *                                    the same for the latent model of 32 x 32
 *
 * First a grid of guidance and steps on prompts kept for choosing, then the best setting on fresh prompts with several
 * sampling seeds. Writes `results.json`, `results.md` and `real-and-generated.png` into `--out`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { useBackend } from "@tfjs-diffusion/core";
import { FACES } from "../datasets/faces/index.js";
import { loadClassifier } from "../classifier/classifier-files.js";
import { type EvaluationSettings } from "./context.js";
import { evaluateFaces } from "./run.js";
import { reportMarkdown } from "./report.js";
import { openSampler } from "./sampler.js";
import { fingerprint, ResultStore } from "./store.js";
import { SETTINGS as FACES_SETTINGS } from "../train/faces/settings.js";
import { SETTINGS as PORTRAITS_SETTINGS } from "../train/portraits/settings.js";
import {
  countOption,
  guidanceOption,
  kindOption,
  listOption,
  scriptOptions,
  stepsOption,
} from "../train/script-options.js";

const WEIGHTS = fileURLToPath(new URL("../../weights/", import.meta.url));

const { options } = scriptOptions({
  kind: { type: "string", default: "faces" },
  /** Default: the shipped model and classifier of that kind. */
  model: { type: "string" },
  classifier: { type: "string" },
  out: { type: "string" },
  /** Fresh prompts of each split and style for the reported setting. */
  prompts: { type: "string", default: "1000" },
  /** Prompts of each split and style for each setting of the grid. */
  "grid-prompts": { type: "string", default: "200" },
  /** The grid, as lists of values. */
  guidance: { type: "string", default: "1,3,5,7.5" },
  steps: { type: "string", default: "20,50" },
  seeds: { type: "string", default: "3" },
  batch: { type: "string", default: "100" },
  backend: { type: "string" },
  quick: { type: "boolean", default: false },
});

const kind = kindOption(options.kind);
const model = options.model ?? join(WEIGHTS, options.kind);
const classifierFolder = options.classifier ?? join(WEIGHTS, `${options.kind}-classifier`);
const out = options.out ?? `out/eval-${options.kind}`;
const trained = (kind === FACES ? FACES_SETTINGS : PORTRAITS_SETTINGS).full;
const settings: EvaluationSettings = {
  kind,
  guidances: options.quick ? [1, 3] : listOption("guidance", options.guidance, guidanceOption),
  steps: options.quick ? [10] : listOption("steps", options.steps, stepsOption),
  gridPrompts: options.quick ? 10 : countOption("grid-prompts", options["grid-prompts"]),
  prompts: options.quick ? 20 : countOption("prompts", options.prompts),
  seeds: Array.from({ length: options.quick ? 1 : countOption("seeds", options.seeds) }, (_, seed) => seed),
  batch: countOption("batch", options.batch),
  trainingSeed: trained.seed,
  trainingPictures: options.quick ? 1000 : trained.trainingPictures,
};

const { name: backend } = await useBackend(options.backend);
const [classifier, sampler] = await Promise.all([loadClassifier(classifierFolder), openSampler(model)]);

mkdirSync(out, { recursive: true });
const store = new ResultStore(join(out, "results.json"), fingerprint(model, classifierFolder));
const results = await evaluateFaces({ sample: sampler.sample, classifier, settings, store });
const markdown = reportMarkdown(results, settings, {
  backend,
  command: ["npm run eval:faces", ...process.argv.slice(2)].join(" "),
});
writeFileSync(join(out, "results.md"), markdown);
writeFileSync(join(out, "real-and-generated.png"), Buffer.from(results.pictures.sheet, "base64"));
console.log(`\n${markdown}`);
console.log(`Written to ${out}.`);
classifier.dispose();
sampler.dispose();
