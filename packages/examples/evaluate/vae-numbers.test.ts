import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { latentStatistics, peakSignalToNoise } from "./vae-numbers.js";

beforeAll(() => useBackend("cpu"));

describe("The peak signal-to-noise ratio", () => {
  it("is 20 dB for each picture whose pixels are all off by a tenth of the range", async () => {
    const black = tf.fill<tf.Rank.R4>([2, 4, 4, 3], -1);
    const off = tf.concat<tf.Tensor4D>([tf.fill([1, 4, 4, 3], -0.8), tf.fill([1, 4, 4, 3], 1)]);
    const [tenth, opposite] = await peakSignalToNoise(black, off);
    expect(tenth).toBeCloseTo(20, 4);
    expect(opposite).toBeCloseTo(0, 4);
    tf.dispose([black, off]);
  });
});

describe("The statistics of latents", () => {
  it("are computed over all numbers, and for each channel", () => {
    const { mean, deviation, channels } = latentStatistics([Float32Array.of(1, 10, 3, 10), Float32Array.of(5, 10)], 2);
    expect(channels[0]!.mean).toBeCloseTo(3, 6);
    expect(channels[0]!.deviation).toBeCloseTo(Math.sqrt(8 / 3), 6);
    expect(channels[1]).toEqual({ mean: 10, deviation: 0 });
    expect(mean).toBeCloseTo(6.5, 6);
    expect(deviation).toBeCloseTo(Math.sqrt((1 + 9 + 25 + 300) / 6 - 6.5 ** 2), 5);
  });
});
