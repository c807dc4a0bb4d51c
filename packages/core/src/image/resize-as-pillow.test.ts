import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath } from "../testing/fixture.js";
import { openSafetensors } from "../weights/safetensors.js";
import { type BytePicture, cropped } from "./byte-picture.js";
import { CUBIC, LANCZOS } from "./resample-weights.js";
import { resizedAsPillow } from "./resize-as-pillow.js";
import { resizeBicubic } from "./resize-bicubic.js";

/** Resized by Pillow: fixtures/mask-crop/make.py. */
interface Resize {
  name: string;
  /** Width and height before and after. */
  from: [number, number];
  size: [number, number];
  resample: "lanczos" | "bicubic";
  /** Left, top, right, bottom. */
  box: [number, number, number, number] | null;
}

const { resizes } = JSON.parse(readFileSync(fixturePath("mask-crop/meta.json"), "utf8")) as { resizes: Resize[] };

describe("resizedAsPillow equals Pillow in every byte", () => {
  const stored = new Map<string, BytePicture>();
  beforeAll(async () => {
    const file = await openSafetensors(fixturePath("mask-crop/io.safetensors"));
    for (const name of ["picture", ...resizes.map(({ name }) => `resize.${name}.out`)]) {
      const [height, width, channels] = file.tensors.get(name)!.shape as [number, number, number];
      stored.set(name, { width, height, channels, data: (await file.read(name)) as Uint8Array });
    }
    await file.close();
  });

  it.each(resizes)("$name: $from to $size, $resample", ({ name, from: [right, bottom], size, resample, box }) => {
    const picture = cropped(stored.get("picture")!, { left: 0, top: 0, right, bottom });
    const region = box ? { left: box[0], top: box[1], right: box[2], bottom: box[3] } : undefined;
    const resized = resizedAsPillow(picture, size, { lanczos: LANCZOS, bicubic: CUBIC }[resample], region);
    expect(resized).toEqual(stored.get(`resize.${name}.out`));
  });
});

describe("resizeBicubic of 8 bits", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it.each<[[number, number], [number, number]]>([
    [
      [31, 25],
      [40, 11],
    ], // The case "bicubic" of the fixture.
    [
      [9, 61],
      [7, 12],
    ],
    [
      [12, 50],
      [12, 8],
    ],
    [
      [40, 60],
      [20, 20],
    ],
    [
      [61, 9],
      [12, 7],
    ],
    [
      [8, 8],
      [13, 17],
    ],
  ])("equals it, with the same direction first: %j to %j", (from, to) => {
    const [width, height] = from;
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => ((i * 7919) % 257) % 256);
    const expected = resizedAsPillow({ width, height, channels: 3, data }, to, CUBIC);
    const resized = tf.tidy(() => {
      const picture = tf.tensor4d(data, [1, height, width, 3], "int32").div<tf.Tensor4D>(255);
      return resizeBicubic(picture, to[1], to[0], { eightBit: true }).mul(255);
    });
    expect([...resized.dataSync()].map(Math.round)).toEqual([...expected.data]);
    resized.dispose();
  });
});
