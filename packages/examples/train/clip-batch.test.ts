import { describe, expect, it } from "@jest/globals";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { FACE_SIZE } from "../datasets/faces/index.js";
import { PORTRAITS_2 } from "../datasets/portraits-2/index.js";
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

  it("of contrasts has groups whose captions differ in the colours of hair and hats alone", () => {
    const contrasts = { share: 1, among: ["hairColor", "hatColor"] as const };
    const colors = new Set(
      "black brown blonde blond yellow golden ginger orange red blue green pink purple violet white".split(" "),
    );
    const groups = Array.from(
      { length: 60 },
      (_, seed) => batch(seed, { batchSize: 4, groupSize: 4, kind: PORTRAITS_2, contrasts }).captions,
    );
    const words = (captions: string[]): string[][] => captions.map((text) => text.match(/[a-z]+/g)!);
    const differsInColors = (captions: string[]) => {
      const common = words(captions).reduce((one, two) => one.filter((word) => two.includes(word)));
      return words(captions).every((own) =>
        own.every((word) => common.includes(word) || colors.has(word) || /^an?$/.test(word)),
      );
    };
    const share = (some: string[][]) => some.filter(differsInColors).length / some.length;
    const usual = Array.from(
      { length: 60 },
      (_, seed) => batch(seed, { batchSize: 4, groupSize: 4, kind: PORTRAITS_2 }).captions,
    );
    expect(share(groups)).toBeGreaterThan(share(usual) + 0.2);
  });
});
