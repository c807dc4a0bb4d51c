/**
 * Measures the portraits' autoencoder: how well does it reconstruct pictures that it has never seen, and how are its
 * latents distributed?
 *
 *   npm run eval:vae                                  the shipped one
 *   … --vae runs/portraits/model/vae
 *
 * Writes a sheet into `--out`: from top to bottom the real picture, its reconstruction, and a decoded sample of a
 * standard normal.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid, loadModel, useBackend } from "@tfjs-diffusion/core";
import { toUnit } from "@tfjs-diffusion/core/image";
import { peakSignalToNoise } from "@tfjs-diffusion/core/metrics";
import { type AutoencoderKL, klToStandardNormal } from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { faceBatch, type Split } from "../datasets/faces/index.js";
import { PORTRAITS } from "../datasets/portraits/index.js";
import { loadClassifier } from "../classifier/classifier-files.js";
import { percent } from "../src/percent.js";
import { judge } from "./score.js";
import { latentStatistics } from "./vae-numbers.js";
import { countOption, scriptOptions } from "../train/script-options.js";

const WEIGHTS = fileURLToPath(new URL("../../weights/", import.meta.url));
const { options } = scriptOptions({
  vae: { type: "string", default: join(WEIGHTS, "portraits", "vae") },
  /** Reads attributes from reconstructions. */
  classifier: { type: "string", default: join(WEIGHTS, "portraits-classifier") },
  /** Pictures of each split. */
  pictures: { type: "string", default: "1000" },
  out: { type: "string", default: "out/eval-vae" },
  backend: { type: "string" },
});
const count = countOption("pictures", options.pictures);
const AT_ONCE = 50;
/** A seed that no training and no other measurement uses. */
const SEED = 301;
const SHEET = 16;

const { name: backend } = await useBackend(options.backend);
const vae = (await loadModel(options.vae)) as AutoencoderKL;
const classifier = await loadClassifier(options.classifier);
const batchOf = (split: Split, first: number, number: number) =>
  faceBatch(
    Array.from({ length: number }, (_, i) => first + i),
    { seed: SEED, split, style: "full", kind: PORTRAITS },
  );
const picturesOf = (pixels: Float32Array) => {
  const { size } = PORTRAITS;
  return tf.tensor4d(pixels, [pixels.length / (size * size * 3), size, size, 3]);
};

console.log(`| ${count} pictures each | PSNR | worst 1 % | nats a picture | attributes read right, originals | reconstructions |
|---|---|---|---|---|---|`);
const latents: Float32Array[] = [];
for (const split of ["seen", "held-out"] as const) {
  const psnr: number[] = [];
  let nats = 0;
  const verdicts = { originals: "", reconstructions: "" };
  for (let first = 0; first < count; first += AT_ONCE) {
    const { pixels, faces, captions } = batchOf(split, first, Math.min(AT_ONCE, count - first));
    const x = picturesOf(pixels);
    const { back, mean, kl } = tf.tidy(() => {
      const distribution = vae.encode(x);
      // From the mean of the latents, clipped to [-1, 1].
      const back = vae.decode(distribution.mean).clipByValue(-1, 1) as tf.Tensor4D;
      return { back, mean: distribution.mean, kl: klToStandardNormal(distribution).sum() };
    });
    psnr.push(...(await peakSignalToNoise(x, back)));
    nats += (await kl.data())[0]!;
    latents.push((await mean.data()) as Float32Array);
    for (const [kind, pictures] of [
      ["originals", x],
      ["reconstructions", back],
    ] as const) {
      const readings = await classifier.read(pictures);
      readings.forEach((reading, i) => {
        verdicts[kind] += judge({ face: faces[i]!, mentioned: captions[i]!.mentioned }, reading);
      });
    }
    tf.dispose([x, back, mean, kl]);
  }
  const right = (marks: string) => percent((marks.split("1").length - 1) / marks.replaceAll("-", "").length);
  psnr.sort((a, b) => a - b);
  const meanPsnr = psnr.reduce((sum, value) => sum + value, 0) / count;
  console.log(
    `| ${split} | ${meanPsnr.toFixed(2)} dB | ${psnr[Math.floor(count / 100)]!.toFixed(2)} dB | ${(nats / count).toFixed(0)} | ` +
      `${right(verdicts.originals)} | ${right(verdicts.reconstructions)} |`,
  );
}
const { mean, deviation, channels } = latentStatistics(latents, vae.config.latent_channels);
console.log(`
Latents: mean ${mean.toFixed(3)}, deviation ${deviation.toFixed(3)} (scaling factor ${(1 / deviation).toFixed(4)}; in the config ${vae.config.scaling_factor}).
By channel: ${channels.map((c) => `${c.mean.toFixed(2)} ± ${c.deviation.toFixed(2)}`).join(", ")}. Backend ${backend}.`);

const sheet = tf.tidy(() => {
  const x = picturesOf(batchOf("held-out", 0, SHEET).pixels);
  const z = vae.encode(x).mean;
  const rows = [x, vae.decode(z), vae.decode(keyedNoise(0).normal(z.shape) as tf.Tensor4D)];
  return imageGrid(toUnit(tf.concat(rows).clipByValue(-1, 1) as tf.Tensor4D), { columns: SHEET, gap: 1, scale: 3 });
});
await mkdir(options.out, { recursive: true });
const file = join(options.out, "reconstructions.png");
await writeFile(file, await encodePng(sheet));
console.log(`\nReal, reconstructed, decoded from a standard normal: ${file}`);
sheet.dispose();
vae.dispose();
classifier.dispose();
