import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, replayNoise } from "@tfjs-diffusion/schedulers";
import { folderToSingleFile } from "../../layouts/convert-to-file.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, fixturePath, Golden } from "../../testing/fixture.js";
import { tinyWideUNet, writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { openPipeline } from "../open-pipeline.js";
import { type DepthOptions, StableDiffusionDepth2ImgPipeline } from "./depth-to-image.js";
import { type Pix2PixOptions, StableDiffusionInstructPix2PixPipeline } from "./instruct-pix2pix.js";
import { type StableDiffusionParts, StableDiffusionPipeline } from "./stable-diffusion.js";

// 10 times what float32 runs of few steps differ from float64 ones in tiny-stable-diffusion-runs.
const TOLERANCE = 1e-4;

let folder: string;
let base: StableDiffusionPipeline;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "beside "));
  await writeTinyStableDiffusion(join(folder, "base"));
  base = await StableDiffusionPipeline.fromPretrained(join(folder, "base"));
});
afterAll(() => {
  base.dispose();
  rmSync(folder, { recursive: true });
});

/** The parts of the fixtures' runs: the tiny ones, with a UNet of more channels and DDIM. */
function partsWith(channels: number): StableDiffusionParts {
  const betas = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" } as const;
  const scheduler = new DDIMScheduler({ ...betas, clip_sample: false, set_alpha_to_one: false, steps_offset: 1 });
  return { ...base.parts, unet: tinyWideUNet(base.parts.unet as UNet2DConditionModel, channels), scheduler };
}

function runsOf(fixture: string): Record<string, Record<string, unknown>> {
  const meta = JSON.parse(readFileSync(fixturePath(`${fixture}/meta.json`), "utf8")) as { runs: never };
  return meta.runs;
}

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

describe("Instructions for a picture", () => {
  let pipeline: StableDiffusionInstructPix2PixPipeline;
  let golden: Golden;
  let given: { image: tf.Tensor4D; latents: tf.Tensor4D };
  beforeAll(async () => {
    pipeline = new StableDiffusionInstructPix2PixPipeline(partsWith(8));
    golden = await Golden.read("tiny-pix2pix");
    given = { image: golden.tensor("in.image"), latents: golden.tensor("in.latents") };
  });
  afterAll(() => tf.dispose(given));

  const call = (options: Pix2PixOptions): Pix2PixOptions => ({
    prompt: "make it red",
    numInferenceSteps: 3,
    ...given,
    ...options,
  });

  it.each(Object.entries(runsOf("tiny-pix2pix")))("equal diffusers' %s run", async (name, options) => {
    const before = tf.memory().numTensors;
    const asked = Object.fromEntries(Object.entries(options).map(([key, value]) => [camel(key), value]));
    const errors = new Map<string, number>();
    for await (const step of pipeline.steps(call(asked)))
      errors.set(`step ${step.index}`, golden.error(`${name}.out.latents${step.index}`, step.latents));
    expect(errors.size).toBe(3);
    const drawn = await pipeline.generate(call(asked));
    errors.set("image", golden.error(`${name}.out.image`, drawn.images));
    expect(above(TOLERANCE, errors)).toEqual([]);
    tf.dispose(drawn);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("draw several pictures at once, and need a picture", async () => {
    const { images, latents } = await pipeline.generate({
      ...call({ numImages: 2 }),
      latents: undefined,
      numInferenceSteps: 1,
    });
    expect(images.shape).toEqual([2, 32, 32, 3]);
    tf.dispose([images, latents]);
    await expect(pipeline.generate(call({ image: undefined }))).rejects.toThrow("image: missing");
    await expect(pipeline.generate({ ...call({}), strength: 0.5 })).rejects.toThrow("strength: 0.5");
    const bytes = given.image.mul<tf.Tensor4D>(255);
    await expect(pipeline.generate(call({ image: bytes }))).rejects.toThrow("divide bytes by 255");
    bytes.dispose();
  });

  it("come back from a folder and from a file, recognised by openPipeline", async () => {
    const saved = join(folder, "pix2pix");
    await pipeline.savePretrained(saved);
    const file = join(folder, "pix2pix.safetensors");
    const warn = jest.spyOn(console, "warn").mockImplementation(() => {});
    await folderToSingleFile(saved, file);
    expect(warn.mock.calls).toEqual([[expect.stringContaining("the class of its scheduler, DDIMScheduler")]]);
    warn.mockRestore();
    for (const from of [saved, file]) {
      const opened = await openPipeline(from, { config: from === file ? saved : undefined });
      expect(opened).toBeInstanceOf(StableDiffusionInstructPix2PixPipeline);
      opened.dispose();
    }
    await expect(StableDiffusionPipeline.fromPretrained(saved)).rejects.toThrow("takes 8 channels; expected 4");
    expect(() => new StableDiffusionInstructPix2PixPipeline({ ...base.parts })).toThrow("takes 4 channels; expected 8");
  });
});

describe("A picture with its depths", () => {
  let pipeline: StableDiffusionDepth2ImgPipeline;
  let golden: Golden;
  let given: { image: tf.Tensor4D; depthMap: tf.Tensor3D };
  beforeAll(async () => {
    pipeline = new StableDiffusionDepth2ImgPipeline(partsWith(5));
    golden = await Golden.read("tiny-depth");
    given = { image: golden.tensor("in.image"), depthMap: golden.tensor("in.depth") };
  });
  afterAll(() => tf.dispose(given));

  const call = (options: DepthOptions): DepthOptions => ({
    prompt: "a red cube",
    numInferenceSteps: 5,
    ...given,
    ...options,
  });

  it.each(Object.entries(runsOf("tiny-depth")))("equals diffusers' %s run", async (name, options) => {
    const before = tf.memory().numTensors;
    const asked = Object.fromEntries(Object.entries(options).map(([key, value]) => [camel(key), value]));
    const drawn = golden.names(`${name}.noise.`).map((noise) => golden.tensor(noise));
    const errors = new Map<string, number>();
    for await (const step of pipeline.steps(call({ ...asked, noise: replayNoise(drawn) })))
      errors.set(`step ${step.index}`, golden.error(`${name}.out.latents${step.index}`, step.latents));
    expect(errors.size).toBe(golden.names(`${name}.out.latents`).length);
    expect(above(TOLERANCE, errors)).toEqual([]);
    tf.dispose(drawn);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("needs both, of fitting shapes, and no mask", async () => {
    await expect(pipeline.generate(call({ depthMap: undefined }))).rejects.toThrow("depthMap: missing");
    await expect(pipeline.generate(call({ image: undefined }))).rejects.toThrow("image: missing");
    const wrong = tf.zeros<tf.Rank.R3>([3, 4, 4]);
    await expect(pipeline.generate(call({ depthMap: wrong }))).rejects.toThrow("depthMap: [3, 4, 4]; expected [H, W]");
    await expect(pipeline.generate({ ...call({}), mask: wrong })).rejects.toThrow("mask:");
    const flat = tf.ones<tf.Rank.R2>([6, 6]); // One depth everywhere: no NaN.
    const drawn = await pipeline.generate(call({ depthMap: flat, numInferenceSteps: 2 }));
    expect(drawn.latents.isFinite().all().dataSync()[0]).toBe(1);
    tf.dispose([wrong, flat, drawn]);
  });

  it("comes back from a folder and from a file, recognised by openPipeline", async () => {
    const saved = join(folder, "depth");
    await pipeline.savePretrained(saved);
    const file = join(folder, "depth.safetensors");
    const warn = jest.spyOn(console, "warn").mockImplementation(() => {});
    await folderToSingleFile(saved, file);
    expect(warn.mock.calls).toEqual([[expect.stringContaining("the class of its scheduler, DDIMScheduler")]]);
    warn.mockRestore();
    for (const from of [saved, file]) {
      const opened = await openPipeline(from, { config: from === file ? saved : undefined });
      expect(opened).toBeInstanceOf(StableDiffusionDepth2ImgPipeline);
      opened.dispose();
    }
  });
});
