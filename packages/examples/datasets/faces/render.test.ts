import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { faceBatch, faceExample } from "./batch.js";
import type { Face } from "./attributes.js";
import { FACE_SIZE, renderFace } from "./render.js";
import { isHeldOut, sampleFace } from "./sample.js";

const FACE: Face = {
  background: "blue",
  skin: "tan",
  hair: "bald",
  hairColor: "brown",
  hat: "fedora",
  hatColor: "red",
  eyewear: "sunglasses",
  beard: "no",
  mouth: "surprised",
  shirt: "striped",
  shirtColor: "green",
};
const at = (pixels: Uint8Array, row: number, column: number) =>
  [...pixels.subarray((row * FACE_SIZE + column) * 3, (row * FACE_SIZE + column) * 3 + 3)]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");

describe("renderFace", () => {
  it("paints each part at its position in its colour", () => {
    const pixels = renderFace(FACE, keyedRandom(0));
    expect(pixels).toHaveLength(FACE_SIZE * FACE_SIZE * 3);
    expect(at(pixels, 0, 0)).toBe("78b4f0"); // background
    expect(at(pixels, 0, 5)).toBe("c3201b"); // hat
    expect(at(pixels, 10, 8)).toBe("de0f0d"); // mouth
    expect(at(pixels, 15, 7)).toBe("2e9e4f"); // shirt
    expect(at(pixels, 15, 8)).toBe("a8e4b4"); // its stripe
    expect(at(pixels, 6, 5)).toBe("34343f"); // lens
  });

  it("is a pure function of the face and the random numbers", () => {
    for (let i = 0; i < 50; i++) {
      const face = sampleFace(keyedRandom(1, i));
      const first = renderFace(face, keyedRandom(2, i));
      renderFace(sampleFace(keyedRandom(3, i)), keyedRandom(4, i)).fill(0);
      expect(renderFace(face, keyedRandom(2, i))).toEqual(first);
    }
  });

  it("draws the same face in several variants", () => {
    const variants = new Set(
      Array.from({ length: 50 }, (_, i) =>
        renderFace({ ...FACE, hair: "long", eyewear: "none" }, keyedRandom(i)).join(),
      ),
    );
    expect(variants.size).toBeGreaterThan(30);
  });

  it.each([
    ["bald", "short"],
    ["short", "long"],
    ["long", "pigtails"],
  ] as const)("never draws %s and %s hair the same, under any hat", (one, other) => {
    const pictures = (hair: Face["hair"], hat: Face["hat"]) =>
      new Set(
        Array.from({ length: 300 }, (_, i) => renderFace({ ...FACE, hat, hair, beard: "no" }, keyedRandom(i)).join()),
      );
    for (const hat of ["none", "beanie", "cap", "fedora"] as const) {
      const others = pictures(other, hat);
      expect([...pictures(one, hat)].filter((picture) => others.has(picture))).toEqual([]);
    }
  });

  it("refuses a face with an unknown value", () => {
    expect(() => renderFace({ ...FACE, hat: "crown" as "cap" }, keyedRandom(0))).toThrow('hat is "crown"');
  });
});

describe("a batch of faces", () => {
  const options = { seed: 3, split: "train", style: "mixed" } as const;

  it("does not depend on the order of calls", () => {
    const { pixels, faces, captions } = faceBatch([4, 7], options);
    const alone = faceBatch([7], options);
    expect(pixels.subarray(pixels.length / 2)).toEqual(alone.pixels);
    expect(faces[1]).toEqual(alone.faces[0]);
    expect(captions[1]).toEqual(alone.captions[0]);
  });

  it("scales bytes 0 and 255 to -1 and 1", () => {
    const { pixels } = faceBatch([5], options);
    const bytes = faceExample(5, options).pixels;
    expect([...pixels]).toEqual([...bytes].map((byte) => Math.fround(byte / 127.5 - 1)));
    expect(Math.max(...pixels)).toBeLessThanOrEqual(1);
    expect(Math.min(...pixels)).toBeGreaterThanOrEqual(-1);
  });

  it("keeps its splits apart", () => {
    const indices = Array.from({ length: 500 }, (_, i) => i);
    expect(faceBatch(indices, { seed: 0, split: "train" }).faces.some(isHeldOut)).toBe(false);
    expect(faceBatch(indices, { seed: 0, split: "seen" }).faces.some(isHeldOut)).toBe(false);
    expect(faceBatch(indices, { seed: 0, split: "held-out" }).faces.every(isHeldOut)).toBe(true);
    expect(faceBatch(indices, { seed: 0, split: "train" }).faces).not.toEqual(
      faceBatch(indices, { seed: 0, split: "seen" }).faces,
    );
  });

  it("refuses an index that is not a whole number", () => {
    expect(() => faceBatch([0.5], options)).toThrow("whole number");
  });

  it("refuses an unknown split", () => {
    expect(() => faceBatch([0], { seed: 0, split: "test" as "seen" })).toThrow("train, seen, held-out, any");
  });
});
