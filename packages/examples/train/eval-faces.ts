/**
 * Measures a model of faces: does it draw what is asked, does it compose, does it copy?
 *
 *   node packages/examples/dist/train/eval-faces.js           everything; hours on one core, can be stopped and goes on
 *   node packages/examples/dist/train/eval-faces.js --quick   a few prompts, to see that it runs
 *   … --kind portraits                                        the same for the latent model of 32 x 32
 *
 * First a grid of guidance and steps on prompts kept for choosing, then the best setting on fresh prompts with several
 * sampling seeds. Writes `results.json`, `results.md` and `real-and-generated.png` into `--out`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { useBackend } from "@tfjs-diffusion/core";
import { FACES } from "../datasets/faces/index.js";
import { kindNamed } from "../datasets/kinds.js";
import { loadClassifier } from "./classifier-files.js";
import { evaluateFaces, type EvaluationSettings } from "./eval-run.js";
import { reportMarkdown } from "./eval-report.js";
import { openSampler } from "./eval-sampler.js";
import { fingerprint, ResultStore } from "./eval-store.js";
import { SETTINGS as FACES_SETTINGS } from "./faces/settings.js";
import { SETTINGS as PORTRAITS_SETTINGS } from "./portraits/settings.js";

const WEIGHTS = fileURLToPath(new URL("../../weights/", import.meta.url));

const { values: options } = parseArgs({
  options: {
    kind: { type: "string", default: "faces" },
    /** Default: the shipped ones of that kind. */
    model: { type: "string" },
    classifier: { type: "string" },
    out: { type: "string" },
    /** Fresh prompts of each split and style for the reported setting. */
    prompts: { type: "string", default: "1000" },
    /** Prompts of each split and style for each setting of the grid. */
    "grid-prompts": { type: "string", default: "200" },
    /** The grid, as lists: one value each leaves nothing to choose. */
    guidance: { type: "string", default: "1,3,5,7.5" },
    steps: { type: "string", default: "20,50" },
    seeds: { type: "string", default: "3" },
    batch: { type: "string", default: "100" },
    backend: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});

const model = options.model ?? join(WEIGHTS, options.kind);
const classifierFolder = options.classifier ?? join(WEIGHTS, `${options.kind}-classifier`);
const out = options.out ?? `out/eval-${options.kind}`;
const kind = kindNamed(options.kind);
const trained = (kind === FACES ? FACES_SETTINGS : PORTRAITS_SETTINGS).full;
const settings: EvaluationSettings = {
  kind,
  guidances: options.quick ? [1, 3] : numbers("guidance"),
  steps: options.quick ? [10] : numbers("steps"),
  gridPrompts: options.quick ? 10 : numbers("grid-prompts")[0]!,
  prompts: options.quick ? 20 : numbers("prompts")[0]!,
  seeds: Array.from({ length: options.quick ? 1 : numbers("seeds")[0]! }, (_, seed) => seed),
  batch: numbers("batch")[0]!,
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
  command: `npm run eval:faces${options.kind === "faces" ? "" : ` -- --kind ${options.kind}`}`,
});
writeFileSync(join(out, "results.md"), markdown);
writeFileSync(join(out, "real-and-generated.png"), Buffer.from(results.pictures.sheet, "base64"));
console.log(`\n${markdown}`);
console.log(`Written to ${out}.`);
classifier.dispose();
sampler.dispose();

/** The numbers of an option that lists them with commas. */
function numbers(name: "guidance" | "steps" | "grid-prompts" | "prompts" | "seeds" | "batch"): number[] {
  const values = options[name].split(",").map(Number);
  if (values.every((value) => Number.isFinite(value) && value >= 0)) return values;
  throw new RangeError(
    `--${name} is "${options[name]}"; give a number from 0, or several with commas where it lists them.`,
  );
}
