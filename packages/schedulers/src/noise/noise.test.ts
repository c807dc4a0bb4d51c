import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { brownianNoise } from "./brownian.js";
import { keyedNoise, keyedRandom, permutation } from "./keyed-noise.js";
import { replayNoise } from "./replay-noise.js";
import { threefry2x32 } from "./threefry.js";

beforeAll(() => tf.setBackend("cpu"));

const numbers = (draw: () => tf.Tensor) => tf.tidy(() => [...draw().dataSync()]);
const moments = (xs: number[]) => {
  const mean = xs.reduce((sum, x) => sum + x, 0) / xs.length;
  return { mean, variance: xs.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (xs.length - 1) };
};

describe("threefry2x32 with 20 rounds", () => {
  // Random123 1.14, tests/kat_vectors: "threefry2x32 20".
  it.each([
    [
      [0, 0],
      [0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344],
      [0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ] as const)("gives the published answer for key %p and counter %p", (key, counter, answer) => {
    expect([...threefry2x32(key, counter)].map((word) => word >>> 0)).toEqual(answer);
  });
});

describe("keyedNoise", () => {
  it("draws the same numbers for the same seed (also 0), and others for another seed", () => {
    const draw = (seed: number) => numbers(() => keyedNoise(seed).normal([3, 5]));
    expect(draw(0)).toEqual(draw(0));
    expect(new Set([0, 1, -1, 2 ** 40].map((seed) => draw(seed)[0])).size).toBe(4);
  });

  it("continues where the last draw stopped, for draws of any size", () => {
    const noise = keyedNoise(7);
    const first = numbers(() => noise.normal([4]));
    expect(numbers(() => noise.normal([4]))).not.toEqual(first);
    expect(numbers(() => keyedNoise(7).normal([9])).slice(0, 4)).toEqual(first);
  });

  it("has substreams that do not depend on earlier draws, and that differ from each other", () => {
    const noise = keyedNoise(7);
    const fresh = numbers(() => noise.at("step", 3).normal([4]));
    tf.dispose(noise.normal([100]));
    expect(numbers(() => noise.at("step", 3).normal([4]))).toEqual(fresh);
    const paths = [[3], ["3"], ["step", 3], ["step3"], [3, "step"], [0, 3], []] as (string | number)[][];
    expect(new Set(paths.map((path) => numbers(() => noise.at(...path).normal([1]))[0])).size).toBe(paths.length);
  });

  it("is standard normal and uniform in [0, 1), within four standard errors", () => {
    const n = 100_000;
    const normal = moments(numbers(() => keyedNoise(1).normal([n])));
    expect(Math.abs(normal.mean)).toBeLessThan(4 / Math.sqrt(n));
    expect(Math.abs(normal.variance - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    const drawn = numbers(() => keyedNoise(1).uniform([n]));
    expect(Math.abs(moments(drawn).mean - 0.5)).toBeLessThan(4 / Math.sqrt(12 * n));
    expect(drawn.every((x) => x >= 0 && x < 1)).toBe(true);
  });

  it("refuses seeds that are not safe integers", () => {
    expect(() => keyedNoise(0.5)).toThrow("keyedNoise: 0.5 is not a safe integer");
  });
});

describe("permutation", () => {
  it("holds every number once, in an order given by the random numbers", () => {
    const order = permutation(100, keyedRandom(3, "order"));
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(permutation(100, keyedRandom(3, "order"))).toEqual(order);
  });
});

describe("replayNoise", () => {
  it("gives its tensors in order, and throws when they run out or do not fit", () => {
    tf.tidy(() => {
      const noise = replayNoise([tf.ones([2]), tf.zeros([3])]);
      expect([...noise.normal([2]).dataSync()]).toEqual([1, 1]);
      expect(() => noise.normal([2])).toThrow("draw 2 is [3], but [2] was requested");
      noise.normal([3]);
      expect(() => noise.normal([3])).toThrow("draw 3 was requested, but only 2 were given");
    });
  });
});

describe("brownianNoise", () => {
  it("is one path: increments over adjacent intervals add up, in any order of calls", () => {
    const whole = numbers(() => brownianNoise(5, 0.1, 10).increment([50], 2, 7));
    const path = brownianNoise(5, 0.1, 10);
    const second = numbers(() => path.increment([50], 3.7, 7));
    const first = numbers(() => path.increment([50], 2, 3.7));
    whole.forEach((x, i) => expect(Math.abs(first[i]! + second[i]! - x)).toBeLessThan(5e-6)); // float32 rounding of values up to 10.
  });

  it("has independent increments of variance to - from, within four standard errors", () => {
    const n = 20_000;
    const path = brownianNoise(6, 0, 4);
    const [a, b] = [numbers(() => path.increment([n], 0.3, 1.9)), numbers(() => path.increment([n], 1.9, 2.2))];
    expect(Math.abs(moments(a).variance / 1.6 - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    expect(Math.abs(moments(b).variance / 0.3 - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    const correlation = a.reduce((sum, x, i) => sum + x * b[i]!, 0) / n / Math.sqrt(1.6 * 0.3);
    expect(Math.abs(correlation)).toBeLessThan(4 / Math.sqrt(n));
  });

  it("frees everything but its result, and refuses times outside its path", () => {
    const before = tf.memory().numTensors;
    brownianNoise(1, 0, 1).increment([2], 0.2, 0.3).dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect(() => brownianNoise(1, 0, 1).increment([2], 0.2, 1.3)).toThrow(
      "time 1.3 is outside the path; give times from 0 to 1",
    );
  });
});
