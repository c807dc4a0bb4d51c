import { afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { encode } from "fast-png";
import { useBackend } from "../backend/use-backend.js";
import { imageGrid } from "./grid.js";
import { ImageError } from "./image-error.js";
import { decodePng } from "./png/decode-png.js";
import { encodePng } from "./png/encode-png.js";
import { pngTexts } from "./png/png-texts.js";
import { resizeBicubic } from "./resize-bicubic.js";
import { toUnit } from "./to-unit.js";

beforeAll(async () => {
  await useBackend("cpu");
});
let tensors = 0;
beforeEach(() => {
  tensors = tf.memory().numTensors;
});
afterEach(() => {
  expect(tf.memory().numTensors).toBe(tensors);
});

/** The shape and values of the result of `make`, which is freed. */
async function valuesOf(make: () => tf.Tensor | Promise<tf.Tensor>): Promise<{ shape: number[]; values: number[] }> {
  const result = await make();
  const values = { shape: result.shape, values: [...result.dataSync()] };
  result.dispose();
  return values;
}

describe("A PNG file", () => {
  it("stores every 8-bit picture exactly", async () => {
    const picture = fc
      .record({
        height: fc.integer({ min: 1, max: 9 }),
        width: fc.integer({ min: 1, max: 9 }),
        channels: fc.constantFrom(1, 3),
        seed: fc.nat(255),
      })
      .map(({ height, width, channels, seed }) => ({
        shape: [height, width, channels] as [number, number, number],
        bytes: Array.from({ length: height * width * channels }, (_, i) => (i * 89 + seed) % 256),
      }));
    await fc.assert(
      fc.asyncProperty(picture, async ({ shape, bytes }) => {
        const x = tf.tensor3d(
          bytes.map((byte) => byte / 255),
          shape,
        );
        const png = await encodePng(x);
        x.dispose();
        const decoded = await valuesOf(() => decodePng(png));
        const colours = shape[2] === 1 ? bytes.flatMap((byte) => [byte, byte, byte]) : bytes;
        expect(decoded.shape).toEqual([shape[0], shape[1], 3]);
        expect(decoded.values.map((value) => Math.round(value * 255))).toEqual(colours);
      }),
      { numRuns: 50 },
    );
  });

  it("clips values outside [0, 1], and rounds", async () => {
    const x = tf.tensor3d([-1, 0.5, 2, NaN], [2, 2, 1]);
    const png = await encodePng(x);
    x.dispose();
    const { values } = await valuesOf(() => decodePng(png));
    expect([values[0], values[3], values[6], values[9]].map((value) => Math.round(value! * 255))).toEqual([
      0, 128, 255, 0,
    ]);
  });

  it.each<[string, Parameters<typeof encode>[0], number[]]>([
    [
      "of 16 bits",
      { width: 1, height: 1, channels: 3, depth: 16, data: Uint16Array.of(65535, 0, 32768) },
      [1, 0, 32768 / 65535],
    ],
    [
      "with transparency, over white",
      { width: 1, height: 1, channels: 4, data: Uint8Array.of(255, 0, 0, 51) },
      [1, 0.8, 0.8],
    ],
    ["of grey with transparency", { width: 1, height: 1, channels: 2, data: Uint8Array.of(0, 51) }, [0.8, 0.8, 0.8]],
  ])("%s is read", async (_, image, want) => {
    const { values } = await valuesOf(() => decodePng(encode(image)));
    values.forEach((value, i) => expect(value).toBeCloseTo(want[i]!, 6));
  });

  it("that is of another kind, truncated, or has a wrong checksum is refused", async () => {
    const png = encode({ width: 4, height: 4, channels: 3, data: new Uint8Array(48) });
    const wrong = png.map((byte, i) => (i === 20 ? byte ^ 1 : byte));
    for (const bytes of [new Uint8Array(), new TextEncoder().encode("<html>"), png.subarray(0, 40), wrong]) {
      await expect(decodePng(bytes)).rejects.toThrow(ImageError);
    }
  });

  it.each([[[4, 4]], [[4, 4, 2]], [[0, 4, 3]], [[1, 4, 4, 3]]])("cannot be made from a tensor %p", async (shape) => {
    const x = tf.zeros(shape);
    await expect(encodePng(x)).rejects.toThrow(ImageError);
    x.dispose();
  });

  it("stores texts, and refuses those that it cannot store", async () => {
    const picture = tf.zeros([2, 3, 3]);
    const text = { parameters: '{"prompt": "caf\u00e9\n"}', Software: "" };
    expect(pngTexts(await encodePng(picture, { text }))).toEqual(text);
    expect(pngTexts(await encodePng(picture))).toEqual({});
    for (const wrong of [{ name: "\u732b" }, { "": "x" }, { ["x".repeat(80)]: "x" }, { name: "a\0b" }, { " a": "b" }])
      await expect(encodePng(picture, { text: wrong as never })).rejects.toThrow(ImageError);
    expect(() => pngTexts(new Uint8Array(9))).toThrow("this is not a readable PNG file");
    picture.dispose();
  });
});

describe("A grid of pictures", () => {
  const pictures = (count: number) =>
    tf.tensor4d(
      Array.from({ length: count }, (_, i) => i + 1),
      [count, 1, 1, 1],
    );

  it("fills rows from the left, with gaps between and around, and background for missing pictures", async () => {
    const x = pictures(3);
    const { shape, values } = await valuesOf(() => imageGrid(x, { columns: 2, gap: 1, background: 0 }));
    x.dispose();
    expect(shape).toEqual([5, 5, 1]);
    expect(values).toEqual([0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it("makes each pixel a square", async () => {
    const x = pictures(2);
    const { shape, values } = await valuesOf(() => imageGrid(x, { columns: 2, gap: 0, scale: 2 }));
    x.dispose();
    expect(shape).toEqual([2, 4, 1]);
    expect(values).toEqual([1, 1, 2, 2, 1, 1, 2, 2]);
  });

  it.each([{ columns: 0 }, { columns: 1.5 }, { gap: -1 }, { scale: 0 }])("is refused with %p", (options) => {
    const x = pictures(1);
    expect(() => imageGrid(x, options)).toThrow(RangeError);
    x.dispose();
  });

  it("of nothing is refused", () => {
    const x = tf.zeros<tf.Rank.R4>([0, 1, 1, 3]);
    expect(() => imageGrid(x)).toThrow(/no picture/);
    x.dispose();
  });

  it("is refused if it would be larger than the memory", () => {
    const x = tf.zeros<tf.Rank.R4>([2, 3, 3, 1]);
    expect(() => imageGrid(x, { columns: 1e9 })).toThrow(
      /^imageGrid: 4000000001 x 5 pixels; at most 67108864 are made/,
    );
    expect(() => imageGrid(x, { scale: 1e6 })).toThrow(RangeError);
    expect(() => resizeBicubic(x, 1e9, 1e9)).toThrow(/^resizeBicubic: 1000000000 x 1000000000 pixels; at most/);
    x.dispose();
  });
});

it("Pixels are mapped from [-1, 1] to [0, 1], and values outside are clipped", async () => {
  const x = tf.tensor1d([-3, -1, 0, 1, 3]);
  expect((await valuesOf(() => toUnit(x))).values).toEqual([0, 0, 0.5, 1, 1]);
  x.dispose();
});
