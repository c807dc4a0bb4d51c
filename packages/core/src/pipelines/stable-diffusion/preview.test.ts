import { expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { relativeRms } from "../../testing/fixture.js";
import type { LatentSpace } from "./latent-space.js";
import { PreviewMap } from "./preview.js";

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
  const noise = keyedNoise(1);
  const colours = tf.tidy(() => noise.normal([4, 3]).mul<tf.Tensor2D>(0.05));
  const latents = noise.normal([2, 6, 10, 4]) as tf.Tensor4D;
  const space = linearSpace(colours, 4);
  const decode = jest.spyOn(space, "decode");
  const map = new PreviewMap(space);
  const expected = tf.tidy(() => tf.avgPool(space.decode(latents), 4, 4, "valid"));
  for (let i = 0; i < 3; i++) {
    const shown = map.preview(latents);
    // Sums of 256 products in float32; the diagonal of the normal equations was raised by a millionth.
    expect(relativeRms(shown, expected)).toBeLessThan(1e-5);
    shown.dispose();
    await new Promise((resolve) => setTimeout(resolve)); // The map's values arrive.
  }
  expect(decode).toHaveBeenCalledTimes(2); // By this test, and once by the map.
  tf.dispose([colours, latents, expected]);
  expect(tf.memory().numTensors).toBe(before);
});

it("never reads a result at once, which WebGPU in Node cannot do", async () => {
  await useTestBackend();
  const noise = keyedNoise(1);
  const colours = noise.normal([4, 3]) as tf.Tensor2D;
  const latents = noise.normal([1, 4, 4, 4]) as tf.Tensor4D;
  const read = jest.spyOn(tf.Tensor.prototype, "dataSync");
  const shown = new PreviewMap(linearSpace(colours, 4)).preview(latents);
  // The noise that the map is fitted to, whose values have not gone to the card yet.
  expect(read).toHaveBeenCalledTimes(1);
  read.mockRestore();
  tf.dispose([colours, latents, shown]);
});
