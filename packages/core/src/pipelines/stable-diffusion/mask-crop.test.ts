import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig, torchNoise } from "@tfjs-diffusion/schedulers";
import { loadModel } from "../../models/load-model.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath, Golden } from "../../testing/fixture.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { blend } from "./inpainting.js";
import { enlargedParts, reducedParts } from "./mask-crop.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";
import type { StableDiffusionOptions } from "./stable-diffusion-options.js";

/** Cropped, enlarged and put back by diffusers: fixtures/mask-crop/make.py. Sizes are [width, height]. */
interface Crop {
  name: string;
  picture: [number, number];
  /** Where the mask is 255. */
  rows: [number, number];
  columns: [number, number];
  padding: number;
  size: [number, number];
  /** Left, top, right, bottom. */
  region: [number, number, number, number];
}

/** Drawn by diffusers. */
interface Run {
  unet: "unet4" | "unet9";
  mask: string;
  call: { padding_mask_crop: number; width: number; height: number; strength?: number; num_images_per_prompt?: number };
}

const {
  crops,
  runs,
  prompt: PROMPT,
  scheduler,
} = JSON.parse(readFileSync(fixturePath("mask-crop/meta.json"), "utf8")) as {
  crops: Crop[];
  runs: Record<string, Run>;
  prompt: { prompt: string; negative_prompt: string; guidance_scale: number; num_inference_steps: number };
  scheduler: Record<string, unknown>;
};

let golden: Golden;

/** A stored picture or mask, [1, H, W, C] in [0, 1]. */
function stored(name: string): tf.Tensor4D {
  return tf.tidy(() => golden.tensor<tf.Tensor3D>(name).div<tf.Tensor3D>(255).expandDims<tf.Tensor4D>(0));
}

const bytesOf = (x: tf.Tensor) => [...x.dataSync()].map((value) => Math.round(value * 255));

beforeAll(async () => {
  await useTestBackend();
  golden = await Golden.read("mask-crop");
});

describe("The part of a picture around its mask", () => {
  it.each(crops)("is enlarged and put back as diffusers does, to the byte: $name", async (crop) => {
    const before = tf.memory().numTensors;
    const [width, height] = crop.picture;
    const all = stored("picture");
    const image = all.slice([0, 0, 0, 0], [-1, height, width, -1]);
    const mask = tf.tidy(() => {
      const [rows, columns] = [crop.rows, crop.columns].map(([from, to], axis) => {
        const index = tf.range(0, crop.picture[1 - axis]!);
        return index.greaterEqual(from).logicalAnd(index.less(to)).toFloat();
      });
      return tf.outerProduct(rows as tf.Tensor1D, columns as tf.Tensor1D).reshape<tf.Tensor4D>([1, height, width, 1]);
    });
    const request = { image, mask, padding: crop.padding, size: crop.size };
    const parts = await enlargedParts(request);
    expect(bytesOf(parts.image)).toEqual([...golden.tensor(`crop.${crop.name}.out`).dataSync()]);
    expect(bytesOf(parts.mask)).toEqual([...golden.tensor(`crop.${crop.name}.out_mask`).dataSync()]);

    const painted = all.slice([0, 90 - crop.size[1], 90 - crop.size[0], 0]);
    const whole = await reducedParts(painted, request);
    const [left, top, right, bottom] = crop.region;
    const overlaid = tf.tidy(() =>
      blend(image, whole, mask).slice([0, top, left, 0], [-1, bottom - top, right - left, -1]),
    );
    expect(bytesOf(overlaid)).toEqual([...golden.tensor(`crop.${crop.name}.overlaid`).dataSync()]);
    tf.dispose([all, image, mask, parts, painted, whole, overlaid]);
    expect(tf.memory().numTensors - before).toBeLessThanOrEqual(3); // Those of the fixture.
  });
});

describe("Only-masked inpainting", () => {
  let folder: string;
  let pipeline: StableDiffusionPipeline;
  let inpainting: StableDiffusionPipeline;
  let image: tf.Tensor4D;
  let mask: tf.Tensor4D;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "mask crop "));
    await writeTinyStableDiffusion(folder);
    pipeline = await StableDiffusionPipeline.fromPretrained(folder);
    const unet = (await loadModel(fixturePath("tiny-sd-unet-inpaint9"))) as UNet2DConditionModel;
    inpainting = new StableDiffusionPipeline({ ...pipeline.parts, unet });
    image = tf.tidy(() => stored("picture").slice([0, 0, 0, 0], [-1, 50, 70, -1]));
    mask = stored("runs.mask.hard");
  });
  afterAll(() => {
    (inpainting.parts.unet as UNet2DConditionModel).dispose();
    pipeline.dispose();
    tf.dispose([image, mask]);
    rmSync(folder, { recursive: true });
  });

  const call = (options: StableDiffusionOptions): StableDiffusionOptions => ({
    prompt: PROMPT.prompt,
    negativePrompt: PROMPT.negative_prompt,
    guidanceScale: PROMPT.guidance_scale,
    numInferenceSteps: PROMPT.num_inference_steps,
    scheduler: schedulerFromConfig(scheduler),
    image,
    ...options,
  });

  it.each(Object.entries(runs))("draws what diffusers draws: %s", async (name, run) => {
    const { padding_mask_crop: paddingMaskCrop, num_images_per_prompt: numImages, ...size } = run.call;
    const given = stored(`runs.mask.${run.mask}`);
    const before = tf.memory().numTensors;
    const by = run.unet === "unet9" ? inpainting : pipeline;
    const options = { mask: given, paddingMaskCrop, numImages, noise: torchNoise(7), ...size };
    const { images, latents } = await by.generate(call(options));
    expect(tf.memory().numTensors).toBe(before + 2);
    expect(images.shape).toEqual([numImages ?? 1, 50, 70, 3]);
    // As in torch-seeds.test.ts: whole runs of these networks agree to 2e-5.
    expect(golden.error(`runs.${name}.latents`, latents)).toBeLessThan(2e-5);
    const kept = [...given.dataSync()].map((value) => value === 0);
    const before8 = bytesOf(image);
    for (const [i, drawn] of tf.unstack(images).entries()) {
      const expected = golden.tensor(`runs.${name}.image${i}`).dataSync();
      // A value at the border of two bytes may be rounded to either, and again where a soft mask mixes it.
      bytesOf(drawn).forEach((byte, k) => {
        expect(Math.abs(byte - expected[k]!)).toBeLessThanOrEqual(run.mask === "soft" ? 2 : 1);
        if (kept[Math.floor(k / 3)]) expect(byte).toBe(before8[k]);
      });
      drawn.dispose();
    }
    tf.dispose([images, latents, given]);
  });

  it("crops each picture of a batch by its own mask, and blurs the seam with pasteBack", async () => {
    const both = tf.tidy(() => mask.concat(stored("runs.mask.soft")));
    const options = { paddingMaskCrop: 4, width: 32, height: 32, seed: 3, numImages: 2 };
    const latents = tf.tidy(() => tf.randomNormal<tf.Rank.R4>([1, 8, 8, 4], 0, 1, "float32", 1).tile([2, 1, 1, 1]));
    const drawn = await pipeline.generate(call({ ...options, mask: both, latents: latents as tf.Tensor4D }));
    const first = tf.tidy(() => drawn.images.slice([0], [1]).sub(image).abs().max(3).squeeze<tf.Tensor2D>([0]));
    const changed = tf.tidy(() => first.greater(0).toFloat());
    expect(
      changed
        .sub(changed.mul(mask.squeeze<tf.Tensor2D>([0, 3])))
        .sum()
        .dataSync()[0],
    ).toBe(0);
    expect(changed.sum().dataSync()[0]).toBeGreaterThan(200); // Of 18 x 13.
    const second = tf.tidy(() => drawn.images.slice([1], [1]).sub(image).abs().max(3).squeeze<tf.Tensor2D>([0]));
    expect(second.slice([12, 8], [18, 13]).max().dataSync()[0]).toBe(0); // The first mask.
    expect(second.slice([23, 43], [9, 9]).min().dataSync()[0]).toBeGreaterThanOrEqual(0);
    expect(second.max().dataSync()[0]).toBeGreaterThan(0);
    tf.dispose([both, latents, drawn, first, changed, second]);

    const faded = await inpainting.generate(call({ ...options, numImages: 1, mask, pasteBack: true, maskBlur: 4 }));
    const sharp = await inpainting.generate(call({ ...options, numImages: 1, mask, pasteBack: true }));
    const difference = (x: tf.Tensor4D, row: number) =>
      tf.tidy(() => x.sub(image).abs().slice([0, row, 8, 0], [1, 1, 13, -1]).mean().dataSync()[0]!);
    expect(difference(faded.images, 12)).toBeLessThan(difference(sharp.images, 12) / 2);
    expect(difference(faded.images, 11)).toBe(0);
    tf.dispose([faded, sharp]);
  });

  it.each([
    [
      "without a mask",
      { image: undefined, paddingMaskCrop: 3 },
      "paddingMaskCrop: 3; expected an image and a mask with it",
    ],
    ["of less than 0", { paddingMaskCrop: -1 }, "paddingMaskCrop: -1; expected a whole number, 0 or more"],
    [
      "for a size that cannot be drawn",
      { paddingMaskCrop: 3, width: 30 },
      "width: 30; expected a multiple of 4 pixels.",
    ],
    [
      "with a picture for a ControlNet",
      { paddingMaskCrop: 3, control: [] },
      "control: its picture would not be cropped",
    ],
  ] as [string, StableDiffusionOptions, string][])("is refused %s", async (_, options, message) => {
    const given = "image" in options ? options : { mask, ...options };
    await expect(pipeline.generate(call(given))).rejects.toThrow(message);
  });

  it("is refused where the mask is empty or has another size than the picture", async () => {
    const before = tf.memory().numTensors;
    const empty = tf.zerosLike(mask);
    const refused = pipeline.generate(call({ mask: empty, paddingMaskCrop: 3 }));
    await expect(refused).rejects.toThrow("mask: 0 everywhere; with paddingMaskCrop, mark what to redraw.");
    const small = tf.ones<tf.Rank.R2>([32, 32]);
    const other = pipeline.generate(call({ mask: small, paddingMaskCrop: 3 }));
    await expect(other).rejects.toThrow("mask: [32, 32]; expected [50, 70, 1], or");
    tf.dispose([empty, small]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
