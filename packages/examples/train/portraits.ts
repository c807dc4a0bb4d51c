/**
 * Trains the portraits model, a small Stable Diffusion, from nothing: the autoencoder, then CLIP in three lessons, then the UNet
 * that draws latents.
 *
 *   npm run train:portraits               the shipped model's settings
 *   npm run train:portraits -- --quick    a small run that shows the loss fall
 *
 * Ctrl-C saves and stops; started again, it goes on where it was. All that it makes lies in runs/portraits (--out):
 * the model's folder, checkpoints, logs and loss curves.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CLIPTokenizer, stopOnInterrupt, type TrainingStep, useBackend } from "@tfjs-diffusion/core";
import { writeLossCurve } from "../src/cli/loss-curve.js";
import { withProgress } from "../src/cli/progress.js";
import { PORTRAITS } from "../datasets/portraits/index.js";
import { CLIP_LESSONS, type ClipLesson, trainClip } from "./clip.js";
import { writeFixedParts } from "./folder.js";
import { fixedParts } from "./portraits/folder.js";
import { clipConfig, SETTINGS } from "./portraits/settings.js";
import { trainLatentUnet } from "./portraits/unet.js";
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
await writeFixedParts(model, fixedParts());
const tokenizer = await CLIPTokenizer.fromFolder(join(model, "tokenizer"));

await stopOnInterrupt(async (signal) => {
  const files = (stage: string) => ({
    checkpoint: join(out, `${stage}.checkpoint.safetensors`),
    log: join(out, `${stage}.csv`),
    signal,
  });
  const vaeFolder = join(model, "vae");
  await run("vae", trainVae({ settings, ...files("vae"), folder: vaeFolder }));
  const clip = { settings, tokenizer, kind: PORTRAITS, config: clipConfig() };
  let clipFolder: string | undefined;
  for (const lesson of CLIP_LESSONS) {
    const folder = join(out, `clip-${lesson}`);
    await run(lesson, trainClip({ ...clip, ...files(lesson), lesson, from: clipFolder, folder }));
    clipFolder = folder;
  }
  const read = { settings, tokenizer, clipFolder: clipFolder!, vaeFolder };
  await run("unet", trainLatentUnet({ ...read, ...files("unet"), folder: model }));
  console.log(`The model is in ${model}.`);
});

async function run(stage: "vae" | ClipLesson | "unet", steps: AsyncIterable<TrainingStep>): Promise<void> {
  for await (const _ of withProgress(steps, { label: stage.padEnd(8), total: settings[stage].steps }));
  await writeLossCurve(
    join(out, `${stage}.csv`),
    join(out, `${stage}.svg`),
    `${stage}: loss of each step, and its running mean`,
  );
}
