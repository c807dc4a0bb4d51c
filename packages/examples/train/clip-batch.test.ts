import { describe, expect, it } from "@jest/globals";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { FACE_SIZE } from "../datasets/faces/index.js";
import { clipBatch } from "./clip-batch.js";

const options = { batchSize: 24, groupSize: 8, oneWording: false };
const batch = (seed: number, changed = {}) => clipBatch(keyedNoise(seed), { ...options, ...changed });

/** The words that all captions have in common. */
function shared(captions: string[]): string[] {
  const [first, ...others] = captions.map((text) => new Set(text.split(" ")));
  return [...first!].filter((word) => others.every((words) => words.has(word)));
}

describe("A batch for CLIP", () => {
  it("has as many pictures as captions, with pixels in [-1, 1], and is the same for the same key", () => {
    const { pixels, captions } = batch(1);
    expect(captions).toHaveLength(24);
    expect(pixels).toHaveLength(24 * FACE_SIZE * FACE_SIZE * 3);
    expect(pixels.every((value) => value >= -1 && value <= 1)).toBe(true);
    expect(new Set(pixels).size).toBeGreaterThan(10);
    expect(batch(1)).toEqual({ pixels, captions });
    expect(batch(2).captions).not.toEqual(captions);
  });

  it("has different captions and different pictures within a group", () => {
    for (let seed = 0; seed < 20; seed++) {
      const { pixels, captions } = batch(seed, { batchSize: 8 });
      const pictures = captions.map((_, i) =>
        pixels.slice(i * FACE_SIZE ** 2 * 3, (i + 1) * FACE_SIZE ** 2 * 3).join(),
      );
      expect(new Set(captions).size).toBeGreaterThanOrEqual(2);
      expect(new Set(pictures).size).toBeGreaterThanOrEqual(new Set(captions).size);
    }
  });

  it("has one wording if asked to, and many otherwise", () => {
    const seeds = Array.from({ length: 10 }, (_, seed) => seed);
    const inOne = seeds.flatMap((seed) => batch(seed, { oneWording: true }).captions);
    const inMany = seeds.flatMap((seed) => batch(seed).captions);
    expect(shared(inOne).length).toBeGreaterThanOrEqual(4);
    expect(shared(inMany).length).toBeLessThan(shared(inOne).length);
  });
});
