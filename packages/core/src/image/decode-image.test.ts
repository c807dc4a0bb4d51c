import { readFile } from "node:fs/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "../backend/use-backend.js";
import { inChromium } from "../../../schedulers/src/testing/in-chromium.js";
import { fixturePath } from "../testing/fixture.js";
import { decodeImage, decodeMask, decodeOpacity, pictureSize } from "./decode-image.js";
import { ImageError } from "./image-error.js";
import { encodePng } from "./png/encode-png.js";
import { buildPng, chunk } from "./testing/build-png.js";

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

type Picture = { shape: number[]; values: number[] };

async function valuesOf(made: Promise<tf.Tensor>): Promise<Picture> {
  const tensor = await made;
  const values = { shape: tensor.shape, values: [...tensor.dataSync()] };
  tensor.dispose();
  return values;
}

const file = (name: string) => readFile(fixturePath(`jpeg-webp/${name}`));

// Each with the values of Pillow; fixtures/jpeg-webp/meta.json.
const expected = JSON.parse((await file("expected.json")).toString()) as Record<string, Picture>;

const inBrowser = await inChromium<Record<string, Picture & { error?: string }>>(
  new URL("testing/browser-page.ts", import.meta.url),
  Object.fromEntries(
    await Promise.all(
      ["turned.jpg", "alpha-turned.webp", "lossy.webp", "animated.webp"].map(
        async (name) => [name, (await file(name)).toString("base64")] as const,
      ),
    ),
  ),
);
if ("none" in inBrowser) console.info(`Pictures in a browser are not tested: ${(inBrowser as { none: string }).none}.`);

/**
 * Two decoders of JPEG and lossy WebP may differ by a level. Transparent pictures pass through a browser's canvas,
 * which stores colours multiplied by their opacity as bytes.
 */
function expectPicture(name: string, { shape, values }: Picture, isOnCanvas = false): void {
  const isExact = !name.endsWith(".jpg") && name !== "lossy.webp" && !isOnCanvas;
  const tolerance = isExact ? 1e-6 : 1.01 / 255;
  expect(shape).toEqual(expected[name]!.shape);
  values.forEach((value, i) => expect(Math.abs(value - expected[name]!.values[i]!)).toBeLessThan(tolerance));
}

describe("A picture's file", () => {
  it.each(Object.keys(expected))("%s has the values of Pillow, turned as its EXIF data says", async (name) => {
    expectPicture(name, await valuesOf(decodeImage(await file(name))));
  });

  // Skipped if no Chromium is installed.
  ("none" in inBrowser ? it.skip : it)("has the same values in Chromium, which decodes it itself", () => {
    const pictures = inBrowser as Record<string, Picture & { error?: string }>;
    for (const name of ["turned.jpg", "lossy.webp", "alpha-turned.webp"]) expectPicture(name, pictures[name]!, true);
    expect(pictures["animated.webp"]!.error).toContain("ImageError: this is an animated WebP file");
  });

  it.each(["turned.jpg", "alpha-turned.webp", "turned.png"])("%s is turned in all eight ways", async (name) => {
    const bytes = await file(name);
    // The entry 0x0112 of type 3 (two bytes), count 1; in either byte order.
    const big = bytes.indexOf(Buffer.of(1, 0x12, 0, 3, 0, 0, 0, 1));
    const little = bytes.indexOf(Buffer.of(0x12, 1, 3, 0, 1, 0, 0, 0));
    const seen = async (orientation: number) => {
      const turned = Buffer.from(bytes);
      turned.set(big >= 0 ? [0, orientation] : [orientation, 0], Math.max(big, little) + 8);
      const picture = await decodeImage(name.endsWith(".png") ? withChecksum(turned) : turned);
      const values = picture.arraySync();
      picture.dispose();
      return values;
    };
    const picture = await seen(1);
    const mirrored = picture.map((row) => [...row].reverse());
    const exchanged = picture[0]!.map((_, x) => picture.map((row) => row[x]!));
    const flipped = [...picture].reverse();
    const turned = [...exchanged].reverse();
    const onHead = [...mirrored].reverse();
    const ways = [picture, mirrored, onHead, flipped, exchanged];
    ways.push(exchanged.map((row) => [...row].reverse())); // 6: by 90 degrees, clockwise.
    ways.push(
      turned.map((row) => [...row].reverse()),
      turned,
    );
    for (const [i, way] of ways.entries()) expect(await seen(i + 1)).toEqual(way);
  });

  it.each<[string, () => Promise<Uint8Array>, RegExp]>([
    ["another file", async () => Buffer.from("GIF89a"), /PNG, JPEG or WebP/],
    ["nothing", async () => new Uint8Array(), /PNG, JPEG or WebP/],
    ["a truncated JPEG file", async () => (await file("turned.jpg")).subarray(0, -60), /JPEG file \(Premature end/],
    ["a JPEG file without its pixels", async () => (await file("turned.jpg")).subarray(0, 600), /JPEG/],
    ["a JPEG file of CMYK", () => file("cmyk.jpg"), /Unsupported color conversion.*Save it as PNG/],
    ["a truncated WebP file", async () => (await file("lossy.webp")).subarray(0, -60), /WebP file/],
    ["an animated WebP file", () => file("animated.webp"), /animated/],
  ])("%s is refused", async (_, bytes, message) => {
    await expect(decodeImage(await bytes())).rejects.toThrow(ImageError);
    await expect(decodeImage(await bytes())).rejects.toThrow(message);
  });

  it.each(["turned.jpg", "lossy.webp", "alpha-turned.webp"])("%s is refused by its size alone", async (name) => {
    const bytes = await file(name);
    await expect(decodeImage(bytes, { maxPixels: 139 })).rejects.toThrow("14 x 10, 140 pixels; at most 139");
    // With a large size in the header: nothing is decoded.
    const large = Buffer.from(bytes);
    if (name === "turned.jpg") large.writeUInt32BE(0xfff0fff0, large.indexOf(Buffer.of(0xff, 0xc0)) + 5);
    else if (name === "lossy.webp") large.writeUInt32LE(0x3fff3fff, large.indexOf("VP8 ") + 14);
    else large.fill(0xff, large.indexOf("VP8X") + 12, large.indexOf("VP8X") + 18);
    await expect(decodeImage(large)).rejects.toThrow(/at most 67108864/);
  });
});

/** A PNG file whose EXIF data was changed. */
function withChecksum(png: Buffer): Uint8Array {
  const at = png.indexOf("eXIf") + 4;
  const end = at + png.readUInt32BE(at - 8);
  return Buffer.concat([png.subarray(0, at - 8), chunk("eXIf", png.subarray(at, end)), png.subarray(end + 4)]);
}

describe("A picture's header and opacity", () => {
  it("tells its size by its header, whatever follows", async () => {
    const grey = tf.fill<tf.Rank.R3>([3, 5, 1], 0.5);
    const png = await encodePng(grey);
    grey.dispose();
    expect(pictureSize(png)).toEqual({ width: 5, height: 3 });
    expect(pictureSize(png.subarray(0, 40))).toEqual({ width: 5, height: 3 });
    const { width, height } = pictureSize(await file("lossy.webp"));
    expect([height, width]).toEqual(expected["lossy.webp"]!.shape.slice(0, 2));
    expect(() => pictureSize(png.subarray(0, 20))).toThrow(ImageError);
    expect(() => pictureSize(Buffer.from("hello"))).toThrow(/not a readable PNG, JPEG or WebP/);
  });

  it("tells the opacity of its pixels, if they are not all opaque", async () => {
    const layer = tf.tensor3d([1, 0, 0, 0, 1, 0, 0, 0.4, 1, 0, 0, 1], [1, 3, 4]);
    const opacity = await decodeOpacity(await encodePng(layer));
    layer.dispose();
    const values = Array.from(opacity!.dataSync());
    opacity!.dispose();
    [0, 0.4, 1].forEach((value, i) => expect(values[i]).toBeCloseTo(value, 6));
    const opaque = tf.ones<tf.Rank.R3>([1, 2, 4]);
    expect(await decodeOpacity(await encodePng(opaque))).toBeUndefined();
    opaque.dispose();
  });
});

describe("A mask's file", () => {
  it("is 1 where it is white, and keeps greys", async () => {
    const grey = tf.tensor3d([0, 0.2, 0.6, 1], [1, 4, 1]);
    const { shape, values } = await valuesOf(decodeMask(await encodePng(grey)));
    grey.dispose();
    expect(shape).toEqual([1, 4, 1]);
    [0, 0.2, 0.6, 1].forEach((value, i) => expect(values[i]).toBeCloseTo(value, 6));
  });

  it("of one bit has zeros and ones", async () => {
    const png = buildPng({ width: 9, height: 2, depth: 1, colourType: 0, isInterlaced: false, sample: (x) => x % 2 });
    expect((await valuesOf(decodeMask(png))).values).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
  });

  it("in colour is converted to lightness, as in Pillow", async () => {
    // Pillow 13: Image.new("RGB", (1, 1), c).convert("L") of red, green and blue: 76, 150, 29.
    const colours = tf.tensor3d([1, 0, 0, 0, 1, 0, 0, 0, 1], [1, 3, 3]);
    const { values } = await valuesOf(decodeMask(await encodePng(colours)));
    colours.dispose();
    expect(values.map((value) => Math.round(value * 255))).toEqual([76, 150, 29]);
  });

  it("with transparent parts is read from its opacity, for any colour", async () => {
    for (const colour of [0, 1]) {
      const layer = tf.tensor3d([colour, colour, colour, 0, colour, colour, colour, 0.4, 1, 0, 0, 1], [1, 3, 4]);
      const { values } = await valuesOf(decodeMask(await encodePng(layer)));
      layer.dispose();
      [0, 0.4, 1].forEach((value, i) => expect(values[i]).toBeCloseTo(value, 6));
    }
  });

  it("with an alpha channel that is opaque is read from its lightness", async () => {
    const layer = tf.tensor3d([0, 0, 0, 1, 1, 1, 1, 1], [1, 2, 4]);
    expect((await valuesOf(decodeMask(await encodePng(layer)))).values).toEqual([0, 1]);
    layer.dispose();
  });
});
