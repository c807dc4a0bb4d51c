import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { loadModel } from "../../models/load-model.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath, loadFixture } from "../../testing/fixture.js";
import { tinyWideUNet, writeTinyStableDiffusion, writeTinyStableDiffusionXL } from "../../testing/stable-diffusion.js";
import { PipelineOptionError } from "../options/errors.js";
import { StableDiffusionInstructPix2PixPipeline } from "./instruct-pix2pix.js";
import type { StableDiffusionOptions } from "./stable-diffusion-options.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion-xl.js";

let folders: string[];
let pipeline: StableDiffusionPipeline;
let inpainting: StableDiffusionPipeline;
let xl: StableDiffusionXLPipeline;

beforeAll(async () => {
  await useTestBackend();
  folders = ["composed ", "composed xl "].map((name) => mkdtempSync(join(tmpdir(), name)));
  await writeTinyStableDiffusion(folders[0]!);
  await writeTinyStableDiffusionXL(folders[1]!);
  pipeline = await StableDiffusionPipeline.fromPretrained(folders[0]!);
  const unet = (await loadModel(fixturePath("tiny-sd-unet-inpaint9"))) as UNet2DConditionModel;
  inpainting = new StableDiffusionPipeline({ ...pipeline.parts, unet });
  xl = await StableDiffusionXLPipeline.fromPretrained(folders[1]!);
});
afterAll(() => {
  (inpainting.parts.unet as UNet2DConditionModel).dispose();
  pipeline.dispose();
  xl.dispose();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

let tensors: number;
beforeEach(() => {
  tensors = tf.memory().numTensors;
});
afterEach(() => expect(tf.memory().numTensors).toBe(tensors));

const scheduler = schedulerFromConfig({
  _class_name: "DDIMScheduler",
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
});
const BASE = { width: 32, height: 32, numInferenceSteps: 3, scheduler, promptWeighting: true, seed: 3 };
type Options = StableDiffusionOptions & { prompt2?: string };
type By = StableDiffusionPipeline | StableDiffusionXLPipeline;

/** The denoiser's first output, after guidance. */
async function firstOutput(options: Options, by: By = pipeline): Promise<number[]> {
  for await (const { output } of by.steps({ ...BASE, ...options })) return [...output.dataSync()];
  throw new Error("There is no step.");
}

async function latentsOf(options: Options, by: By = pipeline): Promise<number[]> {
  const latents = await by.generateLatents({ ...BASE, ...options });
  const values = [...latents.dataSync()];
  latents.dispose();
  return values;
}

/** Largest difference, relative to the largest value. */
function apart(a: number[], b: number[]): number {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]!))) / Math.max(...b.map(Math.abs));
}

// Sums of up to four predictions of float32, each times up to 5.
const ROUNDING = 1e-5;

describe.each<[string, () => By]>([
  ["Stable Diffusion", () => pipeline],
  ["Stable Diffusion XL", () => xl],
])("%s: AND", (_, by) => {
  it("adds the weighted differences of all parts from the negative prompt: e + s sum w_k (e_k - e)", async () => {
    const negativePrompt = "a blurry hill";
    const alone = async (prompt: string) => firstOutput({ prompt, guidanceScale: 1 }, by());
    const parts = [await alone("a red cube"), await alone("a dog"), await alone("rain")];
    const without = await alone(negativePrompt);
    const weights = [1, 0.5, -0.3];
    for (const guidanceScale of [4, 1]) {
      const expected = without.map(
        (e, i) => e + guidanceScale * weights.reduce((sum, w, k) => sum + w * (parts[k]![i]! - e), 0),
      );
      const prompt = "a red cube AND a dog :0.5 AND rain:-0.3";
      const composed = await firstOutput({ prompt, negativePrompt, guidanceScale }, by());
      expect(apart(composed, expected)).toBeLessThan(ROUNDING);
      expect(apart(composed, parts[0]!)).toBeGreaterThan(1e-2);
    }
  });

  it("draws the same as one prompt whose parts are equal and have weights of sum 1", async () => {
    const options = { negativePrompt: "blurry", guidanceScale: 5 };
    const whole = await latentsOf({ ...options, prompt: "a red cube" }, by());
    const halves = await latentsOf({ ...options, prompt: "a red cube :0.25 AND a red cube :0.75" }, by());
    // Rounding grows from step to step, by guidance.
    expect(apart(halves, whole)).toBeLessThan(1e-4);
    expect(await latentsOf({ ...options, prompt: "a red cube :1" }, by())).toEqual(whole);
  });
});

describe("AND", () => {
  it("draws each prompt of a batch as it would alone, with any number of parts, and several pictures", async () => {
    const prompts = ["a cat AND a dog :0.5", "rain", "a hill AND a cube AND a ball :0.2"];
    const options = { negativePrompt: ["a", "b", "c"], guidanceScale: 3 };
    const noise = tf.randomNormal<tf.Rank.R4>([1, 8, 8, 4], 0, 1, "float32", 5);
    const row = (b: number, all: number[]) => all.slice((b * all.length) / 6, ((b + 1) * all.length) / 6);
    const latents = noise.tile<tf.Tensor4D>([6, 1, 1, 1]);
    const both = await latentsOf({ ...options, prompt: prompts, numImages: 2, latents });
    for (const [i, prompt] of prompts.entries()) {
      const alone = await latentsOf({ ...options, prompt, negativePrompt: options.negativePrompt[i]!, latents: noise });
      expect(apart(row(2 * i, both), alone)).toBeLessThan(1e-4);
      expect(apart(row(2 * i + 1, both), alone)).toBeLessThan(1e-4);
    }
    tf.dispose([noise, latents]);
  });

  it("gives a weight to a prompt without AND, as AUTOMATIC1111 does", async () => {
    const options = { negativePrompt: "blurry", guidanceScale: 4 };
    const half = await firstOutput({ ...options, prompt: "a red cube :0.5" });
    const weaker = await firstOutput({ ...options, prompt: "a red cube", guidanceScale: 2 });
    expect(apart(half, weaker)).toBeLessThan(ROUNDING);
  });

  it("joins parts that change with the step, are long, or have weighted words", async () => {
    const options = { negativePrompt: "blurry", guidanceScale: 3, numInferenceSteps: 2 };
    const changing = await latentsOf({ ...options, prompt: "a [cat:dog:0.5] AND rain :0.4" });
    const first = await pipeline.generateLatents({
      ...BASE,
      ...options,
      prompt: "a cat AND rain :0.4",
      denoisingEnd: 0.5,
    });
    const then = { latents: first, denoisingStart: 0.5, prompt: "a dog AND rain :0.4" };
    expect(await latentsOf({ ...options, ...then })).toEqual(changing);
    first.dispose();
    const long = `${"a blue ball, ".repeat(25)} AND (rain:1.2) :0.4`;
    expect(await latentsOf({ ...options, prompt: long })).not.toEqual(changing);
  });

  it("fills a mask with a network of 9 channels", async () => {
    const [image, mask] = [tf.fill([32, 32, 3], 0.4), tf.ones<tf.Rank.R2>([32, 32])];
    const weights = { guidanceScale: 3, negativePrompt: "blurry" };
    const filled = (prompt: string) => latentsOf({ ...weights, prompt, image: image as tf.Tensor3D, mask }, inpainting);
    expect(apart(await filled("a cat :0.5 AND a cat :0.5"), await filled("a cat"))).toBeLessThan(1e-4);
    tf.dispose([image, mask]);
  });

  it("is refused by name where it cannot be followed, and is a word without promptWeighting", async () => {
    const prompt = "a cat AND a dog";
    const perturbed = await latentsOf({ prompt, pagScale: 2 }).catch((error: unknown) => error);
    expect(perturbed).toBeInstanceOf(PipelineOptionError);
    expect((perturbed as Error).message).toContain("pagScale is for a single prompt. Leave one of them out");
    await expect(latentsOf({ prompt, prompt2: "a hill" }, xl)).rejects.toThrow("prompt2: with AND, or a weight");
    await expect(latentsOf({ prompt: "a", prompt2: prompt }, xl)).rejects.toThrow("prompt2: with AND, or a weight");
    expect(() => pipeline.encodePrompts([prompt], { weighting: true })).toThrow("has AND or a weight at its end");

    const many = Array(101).fill("a cat").join(" AND ");
    await expect(latentsOf({ prompt: many })).rejects.toThrow("prompt: AND joins 101 prompts; expected at most 100.");

    const distilled = await loadFixture<UNet2DConditionModel>("unet_lcm");
    const few = new StableDiffusionPipeline({ ...pipeline.parts, unet: distilled });
    await expect(latentsOf({ prompt }, few)).rejects.toThrow("this network was distilled with guidance");
    distilled.dispose();

    const wide = tinyWideUNet(pipeline.parts.unet as UNet2DConditionModel, 8);
    const pix2pix = new StableDiffusionInstructPix2PixPipeline({ ...pipeline.parts, unet: wide });
    const image = tf.zeros<tf.Rank.R3>([32, 32, 3]);
    await expect(pix2pix.generate({ prompt, image, promptWeighting: true })).rejects.toThrow("by the picture here");
    tf.dispose([image]);
    wide.dispose();

    const word = { promptWeighting: false, guidanceScale: 3 };
    expect(await latentsOf({ ...word, prompt })).toEqual(await latentsOf({ ...word, prompt: "a cat and a dog" }));
  });
});
