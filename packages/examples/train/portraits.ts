/**
 * Trains the portraits model, a small Stable Diffusion, from nothing.
 *
 *   npm run train:portraits               the shipped model's settings
 *   npm run train:portraits -- --quick    a small run that shows the loss fall
 *
 * Ctrl-C saves and stops; started again, it goes on where it was. All that it makes lies in runs/portraits (--out):
 * the model's folder, checkpoints, logs and loss curves.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { stopOnInterrupt, type TrainingStep, useBackend } from "@tfjs-diffusion/core";
import { writeLossCurve } from "../src/cli/loss-curve.js";
import { withProgress } from "../src/cli/progress.js";
import { SETTINGS } from "./portraits/settings.js";
import { trainVae } from "./portraits/vae.js";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    out: { type: "string" },
    backend: { type: "string" },
  },
});
const settings = SETTINGS[values.quick ? "quick" : "full"];
const out = values.out ?? join("runs", values.quick ? "portraits-quick" : "portraits");
const model = join(out, "model");

const { name } = await useBackend(values.backend);
console.log(`Training on the backend "${name}", into ${out}.`);

await stopOnInterrupt(async (signal) => {
  const files = (stage: string) => ({
    checkpoint: join(out, `${stage}.checkpoint.safetensors`),
    log: join(out, `${stage}.csv`),
    signal,
  });
  await run("vae", trainVae({ settings, ...files("vae"), folder: join(model, "vae") }));
});

async function run(stage: "vae", steps: AsyncIterable<TrainingStep>): Promise<void> {
  for await (const _ of withProgress(steps, { label: stage.padEnd(8), total: settings[stage].steps }));
  await writeLossCurve(
    join(out, `${stage}.csv`),
    join(out, `${stage}.svg`),
    `${stage}: loss of each step, and its running mean`,
  );
}
