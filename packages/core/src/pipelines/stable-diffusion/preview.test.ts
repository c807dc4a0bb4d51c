import { expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { relativeRms } from "../../testing/fixture.js";
import type { LatentSpace } from "./latent-space.js";
import { preview, previewMap } from "./preview.js";

/**
 * An autoencoder that decodes each latent to a square of one colour, a linear function of the latent.
 */
function linearSpace(map: tf.Tensor2D, factor: number): LatentSpace {
  const decode = (latents: tf.Tensor4D): tf.Tensor4D => {
    const colours = tf.matMul(latents.reshape([-1, 4]), map).add(0.5);
    const [batch, height, width] = latents.shape;
    return tf.image.resizeNearestNeighbor(colours.reshape<tf.Tensor4D>([batch, height, width, 3]), [
      height * factor,
      width * factor,
    ]);
  };
  return { factor, channels: 4, decode } as unknown as LatentSpace;
}

it("finds the map of an autoencoder that is linear, and previews its pictures exactly", async () => {
  await useTestBackend();
  const before = tf.memory().numTensors;
  tf.tidy(() => {
    const noise = keyedNoise(1);
    const space = linearSpace(noise.normal([4, 3]).mul<tf.Tensor2D>(0.05), 4);
    const map = previewMap(space);
    const latents = noise.normal([2, 6, 10, 4]) as tf.Tensor4D;
    const coarse = tf.avgPool(space.decode(latents), 4, 4, "valid");
    // The normal equations in float64 from float32 pictures; their diagonal was raised by a millionth.
    expect(relativeRms(preview(latents, map), coarse)).toBeLessThan(1e-5);
  });
  expect(tf.memory().numTensors).toBe(before);
});
