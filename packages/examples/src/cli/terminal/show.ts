import * as tf from "@tensorflow/tfjs";
import { type ColorDepth, type Pixels, colorDepth, halfBlocks } from "./half-blocks.js";

/**
 * Prints the pictures under their prompts, as many side by side as fit the terminal. Prints nothing if the terminal has
 * no colours, or is narrower than a picture.
 *
 * @param images [prompts x count, H, W, 3] in [0, 1]
 */
export async function showInTerminal(images: tf.Tensor4D, prompts: readonly string[], count: number): Promise<void> {
  const depth = colorDepth();
  const columns = Math.floor(((process.stdout.columns || 80) + 1) / (images.shape[2] + 1));
  if (depth === undefined || columns === 0) return;
  const pictures = await toPixels(images);
  for (const [i, prompt] of prompts.entries()) {
    console.log(`\n${prompt}\n`);
    const row = pictures.slice(i * count, (i + 1) * count);
    for (let first = 0; first < count; first += columns)
      console.log(`${beside(row.slice(first, first + columns), depth)}\n`);
  }
}

/** Pictures of one size, side by side with a space between. */
function beside(pictures: Pixels[], depth: ColorDepth): string {
  const [first = [], ...others] = pictures.map((picture) => halfBlocks(picture, depth).split("\n"));
  return first.map((line, y) => [line, ...others.map((other) => other[y])].join(" ")).join("\n");
}

/** Pictures [B, H, W, 3] in [0, 1], each in bytes. */
export async function toPixels(images: tf.Tensor4D): Promise<Pixels[]> {
  const [, height, width] = images.shape;
  const bytes = tf.tidy(() => images.mul(255).round().toInt());
  const data = Uint8Array.from(await bytes.data());
  bytes.dispose();
  const size = height * width * 3;
  return Array.from({ length: data.length / size }, (_, i) => ({
    width,
    height,
    data: data.slice(i * size, (i + 1) * size),
  }));
}
