/**
 * Draws the same pictures with the LoRA of `npm run tune:portraits -- style` at scales 0, 0.5 and 1, and measures how
 * close they are to sepia.
 *
 *   npm run eval:style                                the shipped ones
 *   … --model runs/portraits/model --lora runs/portraits/style/lora
 *
 * Writes `style.png` into `--out`: a row for each scale.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid, useBackend } from "@tfjs-diffusion/core";
import { PORTRAITS_2 } from "../datasets/portraits-2/index.js";
import { promptsOf } from "./prompts.js";
import { openSampler } from "./sampler.js";
import { sepia } from "../train/portraits/style.js";
import { LORA_FILE } from "../train/portraits/tuning.js";
import { countOption, guidanceOption, scriptOptions, stepsOption } from "../train/script-options.js";

const WEIGHTS = fileURLToPath(new URL("../../weights/", import.meta.url));
const { options } = scriptOptions({
  model: { type: "string", default: join(WEIGHTS, "portraits") },
  /** Folder of the LoRA. */
  lora: { type: "string", default: join(WEIGHTS, "portraits-loras", "sepia") },
  out: { type: "string", default: "out/eval-style" },
  pictures: { type: "string", default: "16" },
  guidance: { type: "string", default: "3" },
  steps: { type: "string", default: "20" },
  backend: { type: "string" },
});
const count = countOption("pictures", options.pictures);
const guidance = guidanceOption("guidance", options.guidance);
const steps = stepsOption("steps", options.steps);

const { name: backend } = await useBackend(options.backend);
const prompts = promptsOf({ purpose: "reporting", split: "seen", style: "full" }, count, PORTRAITS_2);
const rows: tf.Tensor4D[] = [];
console.log(`${count} pictures from the same noise, guidance ${guidance}, DDIM ${steps} steps, backend ${backend}.

| scale | distance from their own sepia prints |
|---|---|`);
for (const loraScale of [0, 0.5, 1]) {
  const { sample, dispose } = await openSampler(options.model, { lora: join(options.lora, LORA_FILE), loraScale });
  const images = await sample(
    prompts.map(({ text }) => text),
    { guidance, steps, seed: 0 },
  );
  console.log(`| ${loraScale} | ${distanceFromSepia(images).toFixed(3)} |`);
  rows.push(images);
  dispose();
}
mkdirSync(options.out, { recursive: true });
const sheet = tf.tidy(() => imageGrid(tf.concat(rows), { columns: count, gap: 1, scale: 2 }));
writeFileSync(join(options.out, "style.png"), await encodePng(sheet));
console.log(
  `\nWritten to ${join(options.out, "style.png")}. Distances are root mean squares; 1 is from black to white.`,
);
tf.dispose([rows, sheet]);

/** The distance of pictures [B, H, W, 3] in [0, 1] from their own sepia prints. */
function distanceFromSepia(images: tf.Tensor4D): number {
  const distance = tf.tidy(() => {
    const print = sepia(images.mul(2).sub(1)).add(1).div(2);
    return images.sub(print).square().mean().sqrt();
  });
  const [value] = distance.dataSync();
  distance.dispose();
  return value!;
}
