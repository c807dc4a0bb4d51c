import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { batchNoise } from "./batch-noise.js";
import { channelsLast } from "./channels-last.js";
import { keyedNoise } from "./keyed-noise.js";
import { torchNoise } from "./torch-noise.js";

beforeAll(() => tf.setBackend("cpu"));

const numbers = (draw: () => tf.Tensor) => tf.tidy(() => [...draw().dataSync()]);

describe("channelsLast", () => {
  it("swaps the axes of pictures that PyTorch draws, and of nothing else", () => {
    for (const kind of ["normal", "uniform"] as const) {
      const want = numbers(() => torchNoise(7)[kind]([2, 3, 4, 5]).transpose([0, 2, 3, 1]));
      expect(numbers(() => channelsLast(torchNoise(7))[kind]([2, 4, 5, 3]))).toEqual(want);
      expect(numbers(() => channelsLast(torchNoise(7))[kind]([4, 30]))).toEqual(
        numbers(() => torchNoise(7)[kind]([4, 30])),
      );
    }
    const keyed = keyedNoise(7);
    expect(channelsLast(keyed)).toBe(keyed);
  });

  it("goes on where the source stopped, and frees all but its results", () => {
    const [source, turned] = [torchNoise(7), channelsLast(torchNoise(7))];
    const before = tf.memory().numTensors;
    numbers(() => source.normal([1, 2, 3, 3]));
    turned.normal([1, 3, 3, 2]).dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect(numbers(() => turned.normal([5]))).toEqual(numbers(() => source.normal([5])));
  });
});

describe("batchNoise", () => {
  it("draws each row from its own source, in that source's order", () => {
    const noise = batchNoise([torchNoise(7), keyedNoise(8)]);
    const rows = numbers(() => noise.normal([2, 4, 5, 3]));
    expect(rows.slice(0, 60)).toEqual(numbers(() => channelsLast(torchNoise(7)).normal([1, 4, 5, 3])));
    expect(rows.slice(60)).toEqual(numbers(() => keyedNoise(8).normal([1, 4, 5, 3])));
  });

  it("refuses other numbers of rows than of sources, and none", () => {
    const noise = batchNoise([keyedNoise(7), keyedNoise(8)]);
    expect(() => noise.uniform([1, 4])).toThrow("batchNoise: [1, 4] was requested, but there are 2 sources.");
    expect(() => batchNoise([])).toThrow(RangeError);
  });
});
