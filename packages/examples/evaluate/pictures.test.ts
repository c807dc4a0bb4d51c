import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { faceBatch, faceExample } from "../datasets/faces/index.js";
import {
  nearestDistances,
  nearestIndices,
  paletteOf,
  quantile,
  shareNearPalette,
  totalVariation,
  valueShares,
} from "./pictures.js";

beforeAll(() => useBackend("wasm"));

describe("the nearest of other pictures", () => {
  it("is the one with the least sum of squared differences, the first of equals", () => {
    const pictures = [Uint8Array.of(10, 10), Uint8Array.of(200, 0)];
    const others = [Uint8Array.of(255, 255), Uint8Array.of(13, 10), Uint8Array.of(10, 7), Uint8Array.of(190, 9)];
    expect(nearestIndices(pictures, others)).toEqual([1, 3]);
  });
});

describe("the distance to the nearest picture", () => {
  it("is the smallest root mean square difference, 1 from black to white", async () => {
    const before = tf.memory().numTensors;
    const others = tf.tensor2d([
      [-1, -1, -1, -1],
      [1, 1, 1, -1],
    ]);
    const pictures = tf.tensor2d([
      [1, 1, 1, 1],
      [-1, -1, -1, -1],
      [-1, -1, -1, 0],
    ]);
    const distances = await nearestDistances(pictures, others);
    expect([...distances].map((d) => Number(d.toFixed(6)))).toEqual([0.5, 0, 0.25]);
    tf.dispose([others, pictures]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("is 0 for a training picture, and above 0 for a new one", async () => {
    const rows = (split: "train" | "seen", count: number) =>
      tf.tensor2d(faceBatch(Array(count).keys(), { seed: 1, split }).pixels, [count, 768]);
    const [copied, fresh] = [
      await nearestDistances(rows("train", 5), rows("train", 50)),
      await nearestDistances(rows("seen", 5), rows("train", 50)),
    ];
    expect(Math.max(...copied)).toBeLessThan(1e-3);
    expect(Math.min(...fresh)).toBeGreaterThan(0.05);
  });
});

describe("the palette", () => {
  const real = Array.from({ length: 300 }, (_, i) => faceExample(i, { seed: 2, split: "train" }).pixels);
  const palette = paletteOf(real);

  it("holds few colours, and all pixels of real pictures are near one", () => {
    expect(palette.size).toBeLessThan(300);
    expect(shareNearPalette(real, palette, 0)).toBe(1);
  });

  it("finds pixels with other colours", () => {
    const smeared = real[0]!.slice();
    for (let i = 0; i < smeared.length / 2; i++) smeared[i] = (i * 37) % 256;
    expect(shareNearPalette([smeared], palette, 3)).toBeLessThan(0.6);
  });
});

describe("shares of values", () => {
  it("count only pictures that show the attribute", () => {
    const shares = valueShares([{ hat: "none" }, { hat: "cap", hatColor: "red" }]);
    expect(shares.hat).toEqual({ none: 0.5, beanie: 0, cap: 0.5, fedora: 0 });
    expect(shares.hatColor.red).toBe(1);
  });
  it("differ by nothing from themselves and by 1 from the opposite", () => {
    expect(totalVariation({ a: 0.3, b: 0.7 }, { a: 0.3, b: 0.7 })).toBe(0);
    expect(totalVariation({ a: 1, b: 0 }, { a: 0, b: 1 })).toBe(1);
  });
});

describe("quantiles", () => {
  it("are order statistics", () => {
    expect([quantile([3, 1, 2], 0), quantile([3, 1, 2], 0.5), quantile([3, 1, 2], 1)]).toEqual([1, 2, 3]);
  });
});
