/**
 * Shows the data: `node packages/examples/dist/datasets/sheet.js [split] [file.png] [faces|portraits]` draws the first
 * 96 pictures of a split (train, seen, held-out or any) and prints the captions of the first eight.
 */
import { writeFile } from "node:fs/promises";
import { argv } from "node:process";
import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid, useBackend } from "@tfjs-diffusion/core";
import { toUnit } from "@tfjs-diffusion/core/image";
import { kindNamed } from "./kinds.js";
import { faceBatch, type Split } from "./faces/index.js";

const [split = "train", file = `faces-${split}.png`, name = "faces"] = argv.slice(2);
const kind = kindNamed(name);
const COUNT = 96;

await useBackend("cpu");
const { pixels, captions } = faceBatch(Array(COUNT).keys(), { seed: 0, split: split as Split, kind });
const sheet = tf.tidy(() => {
  const images = toUnit(tf.tensor4d(pixels, [COUNT, kind.size, kind.size, 3]));
  return imageGrid(images, { columns: 16, gap: 1, scale: 64 / kind.size });
});
await writeFile(file, await encodePng(sheet));
sheet.dispose();
for (const { text } of captions.slice(0, 8)) console.log(text);
console.log(`${COUNT} pictures in ${file}`);
