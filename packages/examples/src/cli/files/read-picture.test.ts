import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { encodePng, ImageError, useBackend } from "@tfjs-diffusion/core";
import { fixturePath } from "../../../../core/src/testing/fixture.js";
import { buildPng } from "../../../../core/src/image/testing/build-png.js";
import type { PictureArguments } from "../options/picture-arguments.js";
import { readCanvas, readPicture } from "./read-picture.js";

let folder: string;
beforeAll(async () => {
  await useBackend("cpu");
  folder = await mkdtemp(join(tmpdir(), "pictures "));
});
afterAll(() => rm(folder, { recursive: true }));

/** A canvas of 32 x 24 pixels with this file as its mask. */
async function maskOf(name: string, bytes: Uint8Array): Promise<{ shape: number[]; values: number[] }> {
  const picture = tf.zeros<tf.Rank.R3>([24, 32, 3]);
  const [image, mask] = [join(folder, "image.png"), join(folder, name)];
  await writeFile(image, await encodePng(picture));
  await writeFile(mask, bytes);
  picture.dispose();
  const canvas = await readCanvas({ image, mask, model: "other", options: {} } as unknown as PictureArguments);
  const result = { shape: canvas.mask!.shape, values: [...canvas.mask!.dataSync()] };
  tf.dispose([canvas.image!, canvas.mask!]);
  return result;
}

describe("A picture that a command names", () => {
  it("may be a JPEG or WebP file, and is scaled", async () => {
    for (const name of ["turned.jpg", "lossy.webp", "turned.png"]) {
      const picture = await readPicture(fixturePath(`jpeg-webp/${name}`), { width: 7, height: 9 });
      expect(picture.shape).toEqual([9, 7, 3]);
      picture.dispose();
    }
  });

  it("is refused with its path if it is missing, not a file, or not a picture", async () => {
    const text = join(folder, "text.png");
    await writeFile(text, "text");
    for (const [path, problem] of [
      [text, "not a readable PNG, JPEG or WebP file"],
      [folder, "it is not a file"],
      [join(folder, "nothing.png"), "ENOENT"],
    ] as const) {
      await expect(readPicture(path, {})).rejects.toThrow(ImageError);
      await expect(readPicture(path, {})).rejects.toThrow(problem);
      await expect(readPicture(path, {})).rejects.toThrow(path);
    }
  });
});

describe("A mask that a command names", () => {
  // Pillow's convert("1"), GIMP and pngquant write such files by themselves.
  it("may have one bit a pixel: the half that is white is 384 of 768 pixels", async () => {
    const half = { width: 32, height: 24, depth: 1, colourType: 0, isInterlaced: false } as const;
    const { shape, values } = await maskOf("bits.png", buildPng({ ...half, sample: (x) => (x < 16 ? 1 : 0) }));
    expect(shape).toEqual([24, 32, 1]);
    expect(values.filter((value) => value === 1).length).toBe(384);
    expect(values.filter((value) => value === 0).length).toBe(384);
  });

  it("may have another size than the picture", async () => {
    const small = { width: 4, height: 2, depth: 8, colourType: 0, isInterlaced: false } as const;
    const { shape, values } = await maskOf("small.png", buildPng({ ...small, sample: (x, y) => (y === 0 ? 255 : 51) }));
    expect(shape).toEqual([24, 32, 1]);
    expect(values.slice(0, 384)).toEqual(Array.from({ length: 384 }, () => 1));
    values.slice(384).forEach((value) => expect(value).toBeCloseTo(0.2, 6));
  });
});
