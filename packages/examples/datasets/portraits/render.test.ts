import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import {
  ATTRIBUTES,
  caption,
  captionWords,
  faceExample,
  heldOutPairs,
  InvalidFaceError,
  PORTRAIT_ATTRIBUTE_NAMES,
  samplePortrait,
  sampleTrainFace,
  swapOneAttribute,
  visible,
  vocabulary,
} from "../faces/index.js";
import { PORTRAITS, PORTRAIT_SIZE, renderPortrait } from "./index.js";

const portraits = Array.from({ length: 200 }, (_, i) => samplePortrait(keyedRandom(5, i)));
const options = { seed: 0, kind: PORTRAITS } as const;

describe("A portrait", () => {
  it("has 32 x 32 x 3 bytes, the same for the same face and random numbers", () => {
    for (const [i, face] of portraits.entries()) {
      const pixels = renderPortrait(face, keyedRandom(i));
      expect(pixels).toHaveLength(PORTRAIT_SIZE * PORTRAIT_SIZE * 3);
      expect(renderPortrait(face, keyedRandom(i))).toEqual(pixels);
    }
  });

  it("on a wider canvas is the same figure further to the right, in front of a continued background", () => {
    const [width, left] = [56, 16];
    for (const [i, face] of portraits.slice(0, 40).entries()) {
      const [narrow, wide] = [
        renderPortrait(face, keyedRandom(i)),
        renderPortrait(face, keyedRandom(i), { width, left }),
      ];
      expect(wide).toHaveLength(PORTRAIT_SIZE * width * 3);
      // 16 columns are two periods of the pattern, so even the background of the portrait is the same …
      const row = (pixels: Uint8Array, y: number, from: number, to: number, of: number) => [
        ...pixels.subarray((y * of + from) * 3, (y * of + to) * 3),
      ];
      for (let y = 0; y < PORTRAIT_SIZE; y++) {
        expect(row(wide, y, left, left + PORTRAIT_SIZE, width)).toEqual(
          row(narrow, y, 0, PORTRAIT_SIZE, PORTRAIT_SIZE),
        );
        // … and continues with that period, except for the outline of a figure that reaches the portrait's border.
        expect(row(wide, y, 0, 7, width)).toEqual(row(wide, y, 8, 15, width));
      }
    }
  });

  it("changes by at least 4 clearly different pixels if one visible attribute changes", () => {
    const differing = (a: Uint8Array, b: Uint8Array) =>
      new Set([...a.keys()].filter((k) => Math.abs(a[k]! - b[k]!) > 24).map((k) => Math.floor(k / 3))).size;
    for (const [i, face] of portraits.slice(0, 60).entries()) {
      for (const name of Object.keys(visible(face)) as (keyof typeof ATTRIBUTES)[]) {
        const other = swapOneAttribute(face, keyedRandom(i, name), [name]);
        const pixels = differing(renderPortrait(face, keyedRandom(i)), renderPortrait(other, keyedRandom(i)));
        expect({ name, from: face[name], to: other[name], ok: pixels >= 4 }).toMatchObject({ ok: true });
      }
    }
  });

  it("is outlined: the figure never touches the background", () => {
    const face = { ...portraits[0]!, background: "green", pattern: "plain", hair: "bald", hat: "none" } as const;
    const pixels = renderPortrait(face, keyedRandom(1));
    const at = (x: number, y: number) => [...pixels.subarray((y * 32 + x) * 3, (y * 32 + x) * 3 + 3)].join();
    const middle = Array.from({ length: 32 }, (_, x) => at(x, 12));
    const edge = middle.findIndex((color) => color !== middle[0]);
    expect(middle[0]).toBe("160,220,152");
    expect(middle[edge]).toBe("28,22,34");
  });

  it("without a pattern is refused", () => {
    const { pattern: _, ...face } = portraits[0]!;
    expect(() => renderPortrait(face, keyedRandom(0))).toThrow(InvalidFaceError);
    expect(() => renderPortrait({ ...face, pattern: "wavy" as "plain" }, keyedRandom(0))).toThrow(/plain, striped/);
  });
});

describe("The portraits as a data set", () => {
  it("hold each value of each attribute", () => {
    for (const name of PORTRAIT_ATTRIBUTE_NAMES) {
      expect(new Set(portraits.map((face) => face[name]))).toEqual(new Set(ATTRIBUTES[name]));
    }
  });

  it("hold out pairs of pattern and background from training, like pairs of colours", () => {
    const pairs = new Set<string>();
    for (let i = 0; i < 400; i++) {
      expect(heldOutPairs(sampleTrainFace(keyedRandom(7, i), samplePortrait))).toEqual([]);
      for (const pair of heldOutPairs(faceExample(i, { ...options, split: "held-out" }).face)) pairs.add(pair.join());
    }
    expect([...pairs].sort()).toEqual(
      ["hair,hairColor", "hatColor,hairColor", "pattern,background", "shirtColor,background"].sort(),
    );
  });

  it("name the pattern in full captions, in words that are single tokens", () => {
    const { vocab } = vocabulary(captionWords("portraits"));
    for (const [i, face] of portraits.entries()) {
      const { text, mentioned } = caption(face, keyedRandom(i), "full");
      expect(mentioned).toEqual(Object.keys(visible(face)));
      expect(
        text
          .replaceAll(",", " ,")
          .split(" ")
          .filter((word) => !(`${word}</w>` in vocab)),
      ).toEqual([]);
      const other = { ...face, pattern: face.pattern === "striped" ? ("dotted" as const) : ("striped" as const) };
      expect(caption(other, keyedRandom(i), "full").text).not.toBe(text);
    }
  });

  it("do not change the vocabulary of the 16 x 16 faces", () => {
    expect(captionWords()).not.toContain("dotted");
    expect(captionWords("portraits")).toEqual(expect.arrayContaining([...captionWords(), "dotted"]));
  });
});
