import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { torchNoise } from "./torch-noise.js";

beforeAll(() => tf.setBackend("cpu"));

// torch.manual_seed(seed); torch.randn(16), torch 2.x on the CPU.
const SEED_0 = [
  -1.12583983, -1.1523602, -0.250578582, -0.433878839, 0.848710358, 0.692009211, -0.31601277, -2.11521935, 0.322275013,
  -1.26333475, 0.349983186, 0.30813393, 0.119841509, 1.2376579, 1.11677718, -0.247277722,
];
const SEED_42 = [1.92691517, 1.48728418, 0.900717199, -2.1055212, 0.678418338, -1.23454499, -0.0430674255, -1.60466695];

describe("torchNoise", () => {
  it.each([
    [0, SEED_0],
    [42, SEED_42],
  ])("draws what torch.randn draws after manual_seed(%i)", (seed, want) => {
    const got = tf.tidy(() => torchNoise(seed).normal([16]).dataSync());
    // Two units in the last place of 2, because PyTorch's logarithm and cosine are vectorised.
    want.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(5e-7));
  });

  // torch 2.13.0+cpu: torch.manual_seed(0); torch.randn(20). The last 16 places are drawn again and overwritten.
  it("draws the last 16 again if the size is not a multiple of 16", () => {
    const want = [
      -1.12583983, -1.1523602, -0.250578582, -0.433878809, 0.598839462, -1.55509508, -0.34136039, 1.85300612,
      0.468096405, -0.157712445, 1.44366014, 0.266049415, 1.38936615, 1.58633423, 0.946298361, -0.843676746,
      0.931826591, 1.25900924, 2.00498056, 0.0537369028,
    ];
    const got = tf.tidy(() => torchNoise(0).normal([20]).dataSync());
    want.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(5e-7));
  });

  it("uses the lowest 24 bits of the Mersenne twister's words for torch.rand, exactly", () => {
    const words = [2357136044, 2546248239, 3071714933, 3626093760, 2588848963]; // MT19937, seed 0
    const got = tf.tidy(() => torchNoise(0).uniform([5]).dataSync());
    expect([...got]).toEqual(words.map((word) => (word % 2 ** 24) / 2 ** 24));
    // torch.manual_seed(0); torch.rand(5)
    const want = [0.49625659, 0.768221796, 0.0884774327, 0.132030487, 0.307422817];
    want.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(1e-9));
  });

  // torch.manual_seed(7), then these calls in order.
  it("uses the float64 path below 16 numbers, which keeps every second normal number for the next call", () => {
    const draws: ["normal" | "uniform", number[]][] = [
      ["normal", [-0.146795094, 0.786141276, 0.94682163]],
      ["normal", [-1.114344, 1.69079018, -0.894827902]],
      ["uniform", [0.286839008, 0.206319392]],
      [
        "normal",
        [
          0.0490438677, 0.503563881, -0.0835282281, -0.0234779324, 0.174375355, 2.2983427, 0.95710218, -0.661867559,
          -0.828452051, 1.40585291, -1.40125084, 1.29733586, 1.64093328, -1.05668414, -0.261586726, -0.25013262,
          0.501121461,
        ],
      ],
      ["normal", [-0.780378461]],
      ["normal", [0.0803963915, 0.571880579, 1.59575927, 2.41298032]],
    ];
    const source = torchNoise(7);
    for (const [kind, want] of draws) {
      const got = tf.tidy(() => source[kind]([want.length]).dataSync());
      want.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThan(5e-7));
    }
  });

  it("takes the lowest 32 bits of a seed, as PyTorch does", () => {
    const draw = (seed: number) => tf.tidy(() => [...torchNoise(seed).normal([2]).dataSync()]);
    expect(draw(2 ** 32 + 5)).toEqual(draw(5));
    // torch.manual_seed(2**32 + 5); torch.randn(2)
    [-0.486780763, -0.603821576].forEach((value, i) => expect(Math.abs(draw(5)[i]! - value)).toBeLessThan(1e-7));
    // torch.manual_seed(123456789012); torch.randn(16)[:4]
    const large = tf.tidy(() => torchNoise(123456789012).normal([16]).dataSync());
    [-0.353359878, -0.263496399, -1.37336195, -3.36067057].forEach((value, i) =>
      expect(Math.abs(large[i]! - value)).toBeLessThan(1e-6),
    );
  });

  it("frees nothing but its results, and leaves none behind", () => {
    const before = tf.memory().numTensors;
    const source = torchNoise(1);
    for (const shape of [[3], [17], [2, 4, 5]]) tf.dispose([source.normal(shape), source.uniform(shape)]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each([-1, 0.5, NaN, 2 ** 60])("refuses the seed %p", (seed) => expect(() => torchNoise(seed)).toThrow(RangeError));
});
