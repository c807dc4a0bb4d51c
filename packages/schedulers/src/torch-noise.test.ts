import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { torchNoise } from "./torch-noise.js";

beforeAll(() => tf.setBackend("cpu"));

// torch.manual_seed(seed); torch.randn(16), torch 2.x on the CPU.
const SEED_0 = [-1.12583983, -1.1523602, -0.250578582, -0.433878839, 0.848710358, 0.692009211, -0.31601277, -2.11521935,
  0.322275013, -1.26333475, 0.349983186, 0.30813393, 0.119841509, 1.2376579, 1.11677718, -0.247277722]; // prettier-ignore
const SEED_42 = [1.92691517, 1.48728418, 0.900717199, -2.1055212, 0.678418338, -1.23454499, -0.0430674255, -1.60466695];

describe("torchNoise", () => {
  it.each([
    [0, SEED_0],
    [42, SEED_42],
  ])("draws what torch.randn draws after manual_seed(%i)", (seed, want) => {
    const got = tf.tidy(() => torchNoise(seed).normal([16]).dataSync());
    want.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(5e-7)); // two units in the last place of 2: its logarithm and cosine are vectorised;
  });

  it("keeps whole blocks and draws the last 16 anew when the size is no multiple of 16", () => {
    const [whole, ragged] = tf.tidy(() => [
      torchNoise(0).normal([32]).dataSync(),
      torchNoise(0).normal([20]).dataSync(),
    ]);
    expect([...ragged.slice(0, 4)]).toEqual([
      ...SEED_0.slice(0, 4).map((_, i) => tf.tidy(() => torchNoise(0).normal([20]).dataSync())[i]!),
    ]);
    expect(whole.length).toBe(32);
    expect([...ragged.slice(4)].every(Number.isFinite)).toBe(true);
  });

  it("frees nothing but its results, and leaves none behind", () => {
    const before = tf.memory().numTensors;
    const source = torchNoise(1);
    for (const shape of [[3], [17], [2, 4, 5]]) tf.dispose([source.normal(shape), source.uniform(shape)]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each([-1, 0.5, NaN, 2 ** 60])("refuses the seed %p", (seed) => expect(() => torchNoise(seed)).toThrow(RangeError));
});
