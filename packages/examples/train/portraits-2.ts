/**
 * Trains one stage of the second portraits models: both roads from text to pictures, on captions as people type them.
 *
 *   npm run train:portraits-2 -- clip        both towers, from those of the first portraits model
 *   … --quick                                a small run that shows the loss fall
 *   … --count                                the arithmetic of one step, then stops
 *
 * All output is in runs/portraits-2/<stage> (--out is the folder above). Ctrl-C saves and stops; the same command
 * resumes.
 */
import { join } from "node:path";
import { CLIPTokenizer, useBackend } from "@tfjs-diffusion/core";
import type { TrainingStep } from "@tfjs-diffusion/core/training";
import { UsageError } from "../src/cli/options/usage-error.js";
import { packagePath } from "../src/package-folder.js";
import { trainClip2 } from "./portraits-2/clip.js";
import { fixedParts } from "./portraits-2/folder.js";
import { type Portraits2Settings, SETTINGS } from "./portraits-2/settings.js";
import { flopOfStep, runStage } from "./run-stage.js";
import { scriptOptions } from "./script-options.js";
import { writeFixedParts } from "./folder.js";
import type { StageFiles } from "./stage.js";

interface StageContext extends StageFiles {
  settings: Portraits2Settings;
  tokenizer: CLIPTokenizer;
  /** Folder of the results of the other stages. */
  out: string;
}

const STAGES: Record<string, { key: "clip"; train(options: StageContext): AsyncGenerator<TrainingStep, void> }> = {
  clip: {
    key: "clip",
    train: (options) =>
      trainClip2({
        ...options,
        from: { model: packagePath("weights", "portraits"), vision: packagePath("weights", "portraits-vision") },
      }),
  },
};

const { options, word: name = "" } = scriptOptions(
  {
    quick: { type: "boolean", default: false },
    count: { type: "boolean", default: false },
    out: { type: "string" },
    backend: { type: "string" },
  },
  Object.keys(STAGES),
);
const stage = Object.hasOwn(STAGES, name) ? STAGES[name] : undefined;
if (!stage) throw new UsageError(`The stage is "${name}"; it can be ${Object.keys(STAGES).join(", ")}.`);
const settings = SETTINGS[options.quick ? "quick" : "full"];
const out = options.out ?? (options.quick ? "runs/portraits-2-quick" : "runs/portraits-2");

const { name: backend } = await useBackend(options.backend);
console.log(`Training on the backend "${backend}", into ${join(out, name)}.`);
await writeFixedParts(join(out, "model"), fixedParts());
const tokenizer = await CLIPTokenizer.fromFolder(join(out, "model", "tokenizer"));
const { steps: total, batchSize } = settings[stage.key];
const runnable = {
  label: name,
  total,
  out: join(out, name),
  result: "result",
  train: (files: StageFiles) => stage.train({ settings, tokenizer, out, ...files }),
};
if (options.count) {
  const flop = await flopOfStep({ ...runnable, out: join(out, `${name}-count`) });
  console.log(
    `${(flop / 1e9).toFixed(2)} GFLOP a step of ${batchSize}, ${(flop / batchSize / 1e9).toFixed(3)} a sample, ` +
      `${((flop * total) / 1e14).toFixed(2)}e14 in ${total} steps.`,
  );
} else {
  await runStage(runnable);
}
