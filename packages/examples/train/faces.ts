/**
 * Trains the faces model from nothing, in two stages: CLIP learns, in three lessons, which picture a caption describes;
 * then the UNet learns to draw what a caption says.
 *
 *   npm run train:faces               the shipped model's settings; about two hours on the native backend
 *   npm run train:faces -- --quick    a small run that shows the loss fall, in under three minutes
 *
 * Ctrl-C saves and stops; started again, it goes on where it was. All that it makes lies in runs/faces (--out):
 * the model's folder, checkpoints, logs, loss curves and a sheet of pictures.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CLIPTokenizer, stopOnInterrupt, type TrainingStep, useBackend } from "@tfjs-diffusion/core";
import { writeLossCurve } from "../src/cli/loss-curve.js";
import { withProgress } from "../src/cli/progress.js";
import { FACES } from "../datasets/faces/index.js";
import { CLIP_LESSONS, type ClipLesson, trainClip } from "./clip.js";
import { fixedParts } from "./faces/folder.js";
import { clipConfig, SETTINGS } from "./faces/settings.js";
import { drawSheet } from "./faces/sheet.js";
import { trainUnet } from "./faces/unet.js";
import { writeFixedParts } from "./folder.js";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    out: { type: "string" },
    backend: { type: "string" },
  },
});
const settings = SETTINGS[values.quick ? "quick" : "full"];
const out = values.out ?? join("runs", values.quick ? "faces-quick" : "faces");
const model = join(out, "model");

const { name } = await useBackend(values.backend);
console.log(`Training on the backend "${name}", into ${out}.`);
await writeFixedParts(model, fixedParts());
const tokenizer = await CLIPTokenizer.fromFolder(join(model, "tokenizer"));

await stopOnInterrupt(async (signal) => {
  const files = (stage: string) => ({
    checkpoint: join(out, `${stage}.checkpoint.safetensors`),
    log: join(out, `${stage}.csv`),
  });
  const common = { settings, tokenizer, signal };
  const clip = { kind: FACES, config: clipConfig() };
  let clipFolder: string | undefined;
  for (const lesson of CLIP_LESSONS) {
    const folder = join(out, `clip-${lesson}`);
    await run(lesson, trainClip({ ...common, ...clip, ...files(lesson), lesson, from: clipFolder, folder }));
    clipFolder = folder;
  }
  await run("unet", trainUnet({ ...common, ...files("unet"), folder: model, clipFolder: clipFolder! }));
  console.log(`The model is in ${model}; what it draws, in ${await drawSheet(model, out)}.`);
});

async function run(stage: ClipLesson | "unet", steps: AsyncIterable<TrainingStep>): Promise<void> {
  for await (const _ of withProgress(steps, { label: stage.padEnd(8), total: settings[stage].steps }));
  await writeLossCurve(
    join(out, `${stage}.csv`),
    join(out, `${stage}.svg`),
    `${stage}: loss of each step, and its running mean`,
  );
}
