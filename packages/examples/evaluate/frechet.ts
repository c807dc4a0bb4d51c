/**
 * How similar are drawn pictures to real ones, as a set? Measures the Fréchet distance in the features of our CLIP,
 * and, as the lowest value to expect, the distance between two halves of real pictures. Also finds the nearest training
 * picture of each drawn one.
 *
 *   npm run eval:frechet                              the shipped model, in the features of its CLIP
 *   … --model runs/portraits/model --clip runs/portraits/clip-both
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid, useBackend } from "@tfjs-diffusion/core";
import { frechetDistance } from "@tfjs-diffusion/core/metrics";
import { CLIPVisionModelWithProjection } from "@tfjs-diffusion/core/models";
import { faceExample } from "../datasets/faces/index.js";
import { packagePath } from "../src/package-folder.js";
import { copyParameters } from "../train/conditioning.js";
import { openClip } from "./clip-model.js";
import { signedRows } from "./facts.js";
import { nearestIndices } from "./pictures.js";
import { promptsOf } from "./prompts.js";
import { openSampler } from "./sampler.js";
import { countOption, guidanceOption, kindOption, scriptOptions, stepsOption } from "../train/script-options.js";

const { options } = scriptOptions({
  kind: { type: "string", default: "portraits" },
  model: { type: "string" },
  /** Default, for portraits: the shipped one. */
  clip: { type: "string" },
  /** Pictures of each set. */
  pictures: { type: "string", default: "2000" },
  guidance: { type: "string", default: "3" },
  steps: { type: "string", default: "20" },
  /** Size of the training set that is searched. */
  training: { type: "string", default: "25000" },
  batch: { type: "string", default: "100" },
  out: { type: "string", default: "out/eval-frechet" },
  backend: { type: "string" },
});
const kind = kindOption(options.kind);
const count = countOption("pictures", options.pictures);
const batch = countOption("batch", options.batch);
const guidance = guidanceOption("guidance", options.guidance);
const steps = stepsOption("steps", options.steps);
const trainingPictures = countOption("training", options.training);
const SHEET = 32;

const { name: backend } = await useBackend(options.backend);
const clip = await openClip(options.kind, options.clip);
const vision = new CLIPVisionModelWithProjection(clip.config.vision_config);
copyParameters(clip, vision);
clip.dispose();
const sampler = await openSampler(options.model ?? packagePath("weights", options.kind));

const prompts = promptsOf({ purpose: "reporting", split: "seen", style: "full" }, count, kind);
const real = prompts.map(({ real }) => real);
const others = promptsOf({ purpose: "choosing", split: "seen", style: "full" }, count, kind).map(({ real }) => real);
const generated: Uint8Array[] = [];
for (let first = 0; first < count; first += batch) {
  const captions = prompts.slice(first, first + batch).map(({ text }) => text);
  const images = await sampler.sample(captions, { guidance, steps, seed: first });
  const values = (await images.data()) as Float32Array;
  images.dispose();
  const size = values.length / captions.length;
  for (let i = 0; i < values.length; i += size) {
    generated.push(Uint8Array.from(values.subarray(i, i + size), (value) => Math.round(255 * value)));
  }
}
sampler.dispose();

const [ofReal, ofOthers, ofGenerated] = [features(real), features(others), features(generated)];
vision.dispose();
console.log(`${count} pictures each, guidance ${guidance}, DDIM ${steps} steps, backend ${backend}.

| pictures | Fréchet distance from real ones |
|---|---|
| generated, from other captions | ${frechetDistance(ofGenerated, ofOthers).toPrecision(3)} |
| other real ones, of just these captions (the floor) | ${frechetDistance(ofReal, ofOthers).toPrecision(3)} |`);

const training = Array.from(
  { length: trainingPictures },
  (_, i) => faceExample(i, { seed: 0, split: "train", kind }).pixels,
);
const shown = generated.slice(0, SHEET);
const nearest = nearestIndices(shown, training);
const sheet = tf.tidy(() => {
  const rows = signedRows(shown.flatMap((picture, i) => [picture, training[nearest[i]!]!]));
  const pictures = rows
    .add(1)
    .div(2)
    .reshape<tf.Tensor4D>([2 * shown.length, kind.size, kind.size, 3]);
  return imageGrid(pictures, { columns: 16, gap: 1, scale: 64 / kind.size });
});
await mkdir(options.out, { recursive: true });
const file = join(options.out, "nearest.png");
await writeFile(file, await encodePng(sheet));
sheet.dispose();
console.log(`\nGenerated and, beside it, the nearest of ${training.length} training pictures: ${file}`);

/** The pictures' normalised vectors in CLIP's space: [pictures.length][projection_dim]. */
function features(pictures: readonly Uint8Array[]): number[][] {
  const rows: number[][] = [];
  for (let first = 0; first < pictures.length; first += batch) {
    const part = pictures.slice(first, first + batch);
    const vectors = tf.tidy(() => {
      const { imageEmbeds } = vision.forward(signedRows(part).reshape([part.length, kind.size, kind.size, 3]));
      return imageEmbeds.div<tf.Tensor2D>(imageEmbeds.norm("euclidean", 1, true)).arraySync();
    });
    rows.push(...vectors);
  }
  return rows;
}
