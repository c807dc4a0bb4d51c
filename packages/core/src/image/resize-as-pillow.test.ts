import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { fixturePath } from "../testing/fixture.js";
import { openSafetensors } from "../weights/safetensors.js";
import { type BytePicture, cropped } from "./byte-picture.js";
import { CUBIC, LANCZOS } from "./resample-weights.js";
import { resizedAsPillow } from "./resize-as-pillow.js";

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
