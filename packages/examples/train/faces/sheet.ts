import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid, PixelDiffusionPipeline } from "@tfjs-diffusion/core";
import { toUnit } from "@tfjs-diffusion/core/image";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { faceBatch } from "../../datasets/faces/index.js";
import type { FacesSettings } from "./settings.js";

const COLUMNS = 16;

/**
 * Draws held-out faces (never seen in training, and in combinations that training left out) from their full captions,
 * below the real pictures of the same captions: a row of real ones above a row of drawn ones, not selected. Returns the
 * file's name.
 */
export async function drawSheet(
  modelFolder: string,
  folder: string,
  { numInferenceSteps, guidanceScale, rows = 3 }: FacesSettings["drawing"] & { rows?: number },
): Promise<string> {
  const { pixels, captions } = faceBatch(
    Array.from({ length: rows * COLUMNS }, (_, i) => i),
    { seed: 1, split: "held-out", style: "full" },
  );
  const pipeline = await PixelDiffusionPipeline.fromPretrained(modelFolder);
  const drawn: tf.Tensor4D[] = [];
  try {
    for (let row = 0; row < rows; row++) {
      const prompt = captions.slice(row * COLUMNS, (row + 1) * COLUMNS).map(({ text }) => text);
      const { images, latents } = await pipeline.generate({
        prompt,
        numInferenceSteps,
        guidanceScale,
        noise: keyedNoise(1).at(row),
      });
      latents.dispose();
      drawn.push(images);
    }
    const sheet = tf.tidy(() => {
      const real = toUnit(tf.tensor4d(pixels, [rows * COLUMNS, 16, 16, 3]));
      const pairs = drawn.flatMap((images, row) => [real.slice([row * COLUMNS, 0, 0, 0], images.shape), images]);
      return imageGrid(tf.concat(pairs), { columns: COLUMNS, gap: 1, scale: 4 });
    });
    const file = join(folder, "sheet.png");
    await writeFile(file, await encodePng(sheet));
    sheet.dispose();
    return file;
  } finally {
    tf.dispose(drawn);
    pipeline.dispose();
  }
}
