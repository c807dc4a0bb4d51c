import { readFile } from "node:fs/promises";
import { deflateSync } from "node:zlib";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { useBackend } from "../../backend/use-backend.js";
import { fixturePath } from "../../testing/fixture.js";
import { ImageError } from "../image-error.js";
import { buildPng, chunk, type PngToBuild } from "../testing/build-png.js";
import { decodePng } from "./decode-png.js";

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

async function decoded(bytes: Uint8Array): Promise<{ shape: number[]; values: number[] }> {
  const picture = await decodePng(bytes);
  const result = { shape: picture.shape, values: [...picture.dataSync()] };
  picture.dispose();
  return result;
}

/** The largest difference of two lists of equal length; NaN counts as a difference. */
function farthest(got: readonly number[], want: readonly number[]): number {
  expect(got.length).toBe(want.length);
  return Math.max(...got.map((value, i) => (Number.isNaN(value) ? Infinity : Math.abs(value - want[i]!))));
}

// fixtures/png/meta.json gives their origin, and how their values were checked.
const expected = JSON.parse(await readFile(fixturePath("png/expected.json"), "utf8")) as Record<
  string,
  { shape: number[]; values: number[] }
>;

describe("A PNG file", () => {
  it.each(Object.keys(expected))("%s has the values of its fixture", async (file) => {
    const { shape, values } = await decoded(await readFile(fixturePath(`png/${file}`)));
    expect(shape).toEqual(expected[file]!.shape);
    expect(farthest(values, expected[file]!.values)).toBeLessThan(1e-6);
  });

  it("of every type, depth, filter and size is read, interlaced or not, with transparency or without", async () => {
    await fc.assert(
      fc.asyncProperty(pictures(), async (png) => {
        const { shape, values } = await decoded(buildPng(png));
        expect(shape).toEqual([png.height, png.width, 3]);
        expect(farthest(values, wanted(png))).toBeLessThan(1e-6);
      }),
      { numRuns: 300 },
    );
  });

  it("can contain chunks that do not change its colours, and any bytes after its end", async () => {
    const png = buildPng(WHITE);
    const header = png.subarray(0, 33);
    const gamma = chunk("gAMA", Uint8Array.of(0, 0, 0x27, 0x10)); // A gamma of 0.1, which would make the picture very dark.
    const bytes = Buffer.concat([header, gamma, chunk("iCCP", Buffer.from("x\0\0nonsense")), png.subarray(33), png]);
    expect((await decoded(bytes)).values).toEqual((await decoded(png)).values);
  });
});

const WHITE: PngToBuild = {
  width: 9,
  height: 5,
  depth: 8,
  colourType: 0,
  isInterlaced: false,
  sample: (x, y) => x * 20 + y,
};

/** Pictures of all kinds, with the samples of a small generator. */
function pictures(): fc.Arbitrary<PngToBuild> {
  const kinds = [
    "0 1",
    "0 2",
    "0 4",
    "0 8",
    "0 16",
    "2 8",
    "2 16",
    "3 1",
    "3 2",
    "3 4",
    "3 8",
    "4 8",
    "4 16",
    "6 8",
    "6 16",
  ];
  return fc
    .record({
      kind: fc.constantFrom(...kinds),
      width: fc.integer({ min: 1, max: 19 }),
      height: fc.integer({ min: 1, max: 19 }),
      isInterlaced: fc.boolean(),
      isTransparent: fc.boolean(),
      seed: fc.nat(),
      split: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
    })
    .map(({ kind, isTransparent, seed, ...png }) => {
      const [colourType, depth] = kind.split(" ").map(Number) as [PngToBuild["colourType"], PngToBuild["depth"]];
      const random = (i: number, below: number) => Math.floor(fraction(seed + i * 7919) * below);
      const colours = 1 + random(0, 2 ** Math.min(depth, 8));
      const sample = (x: number, y: number, k: number) =>
        random(1 + k + 4 * (x + 19 * y), colourType === 3 ? colours : 2 ** depth);
      const filter = (n: number) => random(n + 5000, 5);
      const palette = Array.from({ length: colours * 3 }, (_, i) => random(i + 6000, 256));
      const alphas = Array.from({ length: random(7000, colours + 1) }, (_, i) => random(i + 8000, 256));
      const key = Array.from({ length: colourType === 2 ? 3 : 1 }, (_, k) => sample(0, 0, k));
      return {
        ...png,
        colourType,
        depth,
        sample,
        filter,
        ...(colourType === 3 ? { palette } : {}),
        ...(isTransparent && colourType === 3 ? { transparency: alphas } : {}),
        ...(isTransparent && (colourType === 0 || colourType === 2)
          ? { transparency: key.flatMap((value) => [value >> 8, value & 255]) }
          : {}),
      };
    });
}

/** A pseudo-random number in [0, 1) for each whole number. */
function fraction(seed: number): number {
  let x = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

/** The expected values of a picture over white. */
function wanted({ width, height, depth, colourType, sample, palette, transparency }: PngToBuild): number[] {
  const largest = 2 ** depth - 1;
  const pixel = (x: number, y: number) => {
    const samples = [0, 1, 2, 3].map((k) => sample(x, y, k));
    const places = colourType === 3 ? [0, 1, 2].map((k) => palette![samples[0]! * 3 + k]! / 255) : undefined;
    const isGrey = colourType === 0 || colourType === 4;
    const colours = places ?? (isGrey ? [0, 0, 0] : [0, 1, 2]).map((k) => samples[k]! / largest);
    const key = transparency && colourType !== 3 ? samples.slice(0, isGrey ? 1 : 3) : undefined;
    const isKey = key?.every((value, k) => value === transparency![2 * k]! * 256 + transparency![2 * k + 1]!);
    let alpha = isKey ? 0 : 1;
    if (colourType === 3) alpha = (transparency?.[samples[0]!] ?? 255) / 255;
    if (colourType === 4) alpha = samples[1]! / largest;
    if (colourType === 6) alpha = samples[3]! / largest;
    return colours.map((colour) => 1 - alpha + alpha * colour);
  };
  return Array.from({ length: width * height }, (_, i) => pixel(i % width, Math.floor(i / width))).flat();
}

describe("A damaged PNG file is refused:", () => {
  const good = Buffer.from(buildPng({ ...WHITE, split: 20 }));
  const parts = (header: number[], ...rest: Uint8Array[]) =>
    Buffer.concat([good.subarray(0, 8), chunk("IHDR", Uint8Array.from(header)), ...rest, chunk("IEND", Buffer.of())]);
  const of = (width: number, height: number, ...kind: number[]) => [
    0,
    0,
    width >> 8,
    width & 255,
    0,
    0,
    0,
    height,
    ...kind,
  ];
  const data = (bytes: number[]) => chunk("IDAT", deflateSync(Uint8Array.from(bytes)));
  const adlerWrong = deflateSync(Uint8Array.of(0, 7));
  adlerWrong[adlerWrong.length - 1]! ^= 1;

  it.each<[string, Uint8Array, RegExp]>([
    ["an empty one", new Uint8Array(), /signature/],
    ["another file", Buffer.from("<html>"), /signature/],
    ["nothing after its header", parts(of(1, 1, 8, 0, 0, 0, 0)), /zlib/],
    [
      "a wrong checksum of its pixels",
      parts(of(1, 1, 8, 0, 0, 0, 0), chunk("IDAT", adlerWrong)),
      /checksum of its pixels/,
    ],
    ["too few pixels", parts(of(2, 1, 8, 0, 0, 0, 0), data([0, 7])), /cut off/],
    ["too many", parts(of(1, 1, 8, 0, 0, 0, 0), data([0, 7, 7])), /more data/],
    [
      "invalid pixel data",
      parts(of(1, 1, 8, 0, 0, 0, 0), chunk("IDAT", Buffer.of(0x78, 1, 255, 255, 255, 9, 9))),
      /its pixels/,
    ],
    ["an unknown filter", parts(of(1, 1, 8, 0, 0, 0, 0), data([5, 7])), /filter 5/],
    ["a colour type without that depth", parts(of(1, 1, 4, 2, 0, 0, 0), data([0, 0, 0])), /colour type 2 of 4 bits/],
    ["another interlacing", parts(of(1, 1, 8, 0, 0, 0, 2), data([0, 0])), /interlace 2/],
    ["no width", parts(of(0, 1, 8, 0, 0, 0, 0), data([0])), /no pixels/],
    ["no palette", parts(of(1, 1, 8, 3, 0, 0, 0), data([0, 0])), /palette has 0 bytes/],
    [
      "a colour beyond its palette",
      parts(of(1, 1, 8, 3, 0, 0, 0), chunk("PLTE", Buffer.of(1, 2, 3)), data([0, 1])),
      /colour 1/,
    ],
    [
      "a transparent colour of another type",
      parts(of(1, 1, 8, 0, 0, 0, 0), chunk("tRNS", Buffer.of(1)), data([0, 1])),
      /1 bytes; expected 2/,
    ],
    ["two headers", parts(of(1, 1, 8, 0, 0, 0, 0), chunk("IHDR", Buffer.from(of(1, 1, 8, 0, 0, 0, 0)))), /one header/],
    [
      "Apple's own form",
      Buffer.concat([good.subarray(0, 33), chunk("CgBI", Buffer.of(0, 0, 0, 0)), good.subarray(33)]),
      /CgBI/,
    ],
  ])("%s", async (_, bytes, message) => {
    await expect(decodePng(bytes)).rejects.toThrow(ImageError);
    await expect(decodePng(bytes)).rejects.toThrow(message);
  });

  it("any changed byte, and any truncation", async () => {
    for (let i = 0; i < good.length; i++) {
      const changed = Buffer.from(good);
      changed[i]! ^= 1 << (i % 8);
      await expect(decodePng(changed)).rejects.toThrow(ImageError);
      await expect(decodePng(good.subarray(0, i))).rejects.toThrow(ImageError);
    }
  });
});

describe("A PNG file that would fill the memory is refused quickly:", () => {
  /** Expects the refusal to be fast and to use little memory. */
  async function cost(bytes: Uint8Array, message: RegExp): Promise<void> {
    const before = process.memoryUsage();
    const start = performance.now();
    await expect(decodePng(bytes)).rejects.toThrow(message);
    expect(performance.now() - start).toBeLessThan(1000);
    const after = process.memoryUsage();
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(50e6);
  }
  const file = (width: number, height: number, data: Uint8Array, kind = [1, 0]) => {
    const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, ...kind, 0, 0, 0]);
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    const end = chunk("IEND", Buffer.of());
    return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header), chunk("IDAT", data), end]);
  };

  it("one of 20,000 x 20,000 in a few kilobytes", async () => {
    const zeros = deflateSync(new Uint8Array(20_000 * 2501), { level: 9 });
    await cost(file(20_000, 20_000, zeros), /20000 x 20000.*at most 67108864.*raise maxPixels/);
  });

  it("one that decompresses to a hundred times its size", async () => {
    await cost(file(1000, 1000, deflateSync(new Uint8Array(12e6), { level: 9 })), /more data/);
  });

  it("one with a large size and no data", async () => {
    await cost(file(8000, 8000, deflateSync(new Uint8Array(100)), [16, 6]), /cut off/);
  });

  it("also with another limit", async () => {
    const png = buildPng(WHITE);
    await expect(decodePng(png, { maxPixels: 44 })).rejects.toThrow("9 x 5, 45 pixels; at most 44");
    (await decodePng(png, { maxPixels: 45 })).dispose();
    await expect(decodePng(png, { maxPixels: NaN })).rejects.toThrow(RangeError);
  });
});
