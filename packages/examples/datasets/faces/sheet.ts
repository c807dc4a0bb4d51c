/**
 * A look at the data: `node packages/examples/dist/datasets/faces/sheet.js [split] [file.png]` draws the first 96
 * pictures of a split (train, seen, held-out or any) and prints the captions of the first eight.
 */
import { writeFile } from "node:fs/promises";
import { argv } from "node:process";
import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid, useBackend } from "@tfjs-diffusion/core";
import { faceBatch, FACE_SIZE, type Split } from "./index.js";

const [split = "train", file = `faces-${split}.png`] = argv.slice(2);
const COUNT = 96;

await useBackend("cpu");
const { pixels, captions } = faceBatch(Array(COUNT).keys(), { seed: 0, split: split as Split });
const sheet = tf.tidy(() => {
  const images = tf.tensor4d(pixels, [COUNT, FACE_SIZE, FACE_SIZE, 3]).add<tf.Tensor4D>(1).div<tf.Tensor4D>(2);
  return imageGrid(images, { columns: 16, gap: 1, scale: 4 });
});
await writeFile(file, await encodePng(sheet));
sheet.dispose();
for (const { text } of captions.slice(0, 8)) console.log(text);
console.log(`${COUNT} pictures in ${file}`);
