import { beforeAll, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { edmHeun, karrasSigmas, keyedNoise, type KeyedNoise } from "@tfjs-diffusion/schedulers";
import { UNet2DModel } from "../models/unet/unet-2d.js";
import { useTestBackend } from "../testing/backend.js";
import { edmLoss, preconditioned } from "./edm.js";
import { train } from "./train.js";

beforeAll(() => useTestBackend());

/** The config of google/ddpm-cifar10-32 with an eighth of its channels. */
const CIFAR = {
  sample_size: 32,
  block_out_channels: [16, 32, 32, 32],
  layers_per_block: 2,
  down_block_types: ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
  downsample_padding: 0,
  flip_sin_to_cos: false,
  freq_shift: 1,
  norm_eps: 1e-6,
  norm_num_groups: 8,
} satisfies ConstructorParameters<typeof UNet2DModel>[0];

/** Smooth pictures of 32 x 32 pixels, with the deviation 0.5 that EDM's defaults stand for. */
const pictures = (noise: KeyedNoise, size: number) =>
  tf.tidy(() => {
    const coarse = noise.at("pictures").normal([size, 3, 3, 3]) as tf.Tensor4D;
    const smooth = tf.image.resizeBilinear(coarse, [32, 32]);
    const { mean, variance } = tf.moments(smooth);
    return smooth.sub(mean).div(variance.sqrt()).mul<tf.Tensor4D>(0.5);
  });

it("EDM trains a UNet of CIFAR's layout with the paper's settings, and Heun's method takes its 18 steps with it", async () => {
  const unet = new UNet2DModel(CIFAR);
  unet.initialize(keyedNoise(0));
  const before = tf.memory().numTensors;
  const denoise = preconditioned((x: tf.Tensor4D, told) => unet.forward(x, tf.tensor1d(told)));
  const losses: number[] = [];
  const steps = train({
    parameters: unet.parameters(),
    loss: ({ noise }) => edmLoss({ denoise, x0: pictures(noise, 4), noise }),
    steps: 30,
    batchSize: 4,
    seed: 0,
    schedule: 2e-3,
  });
  for await (const { loss } of steps) losses.push(loss);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  // Whatever its weights, a network that answers 0 has the loss 1: the target's variance.
  expect(Math.abs(mean(losses.slice(0, 3)) - 1)).toBeLessThan(0.15);
  expect(mean(losses.slice(-10))).toBeLessThan(0.8);
  const drawn = tf.tidy(() => {
    const start = keyedNoise(1).normal([1, 32, 32, 3]).mul<tf.Tensor4D>(80);
    return edmHeun(denoise, start, [...karrasSigmas(18, 80, 0.002), 0]);
  });
  expect(drawn.shape).toEqual([1, 32, 32, 3]);
  expect([...drawn.dataSync()].every(Number.isFinite)).toBe(true);
  drawn.dispose();
  expect(tf.memory().numTensors).toBe(before);
  unet.dispose();
});
