import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import type { Model } from "../../models/model.js";
import { useTestBackend } from "../../testing/backend.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { tinyTextToImage } from "../../testing/tiny-text-to-image.js";
import { writeTinyUnCLIP } from "../../testing/unclip.js";
import { PixelDiffusionPipeline } from "../pixels/pixel-diffusion.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";
import type { StableDiffusionOptions } from "../stable-diffusion/stable-diffusion-options.js";
import { UnCLIPPipeline } from "../unclip/unclip.js";
import { StepChecks } from "./finite-results.js";

let folder: string;
let pipeline: StableDiffusionPipeline;
let tensors: number;
beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "not finite "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
  await draw({});
  tensors = tf.memory().numTensors;
});
afterAll(async () => {
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

async function draw(options: Partial<StableDiffusionOptions>): Promise<void> {
  const asked = { prompt: "a red cube", width: 32, height: 32, numInferenceSteps: 3, ...options };
  tf.dispose(await pipeline.generate(asked));
}

/** Draws while a weight of a part is NaN. */
async function drawWithBroken(part: "unet" | "vae" | "textEncoder", weight: string): Promise<void> {
  const parameter = (pipeline.parts[part] as Model).namedParameters().get(weight)!;
  const sound = parameter.value.clone();
  tf.tidy(() => parameter.assign(sound.mul(NaN)));
  try {
    await draw({});
  } finally {
    parameter.assign(sound);
    sound.dispose();
  }
}

const picture = (value = 0.5) => tf.fill<tf.Rank.R3>([32, 32, 3], value);
const mask = (value: number) => tf.fill<tf.Rank.R3>([32, 32, 1], value);
const states = (value: number) => tf.fill<tf.Rank.R3>([1, 4, pipeline.parts.textEncoder.config.hidden_size], value);
const noise = (value: number) => tf.fill<tf.Rank.R4>([1, 8, 8, 4], value);

describe("A drawing that is not finite", () => {
  it.each<[string, () => Promise<void>, RegExp, number | undefined]>([
    [
      "a guidance scale of 1e38",
      () => draw({ guidanceScale: 1e38 }),
      /^Step \d of 4 .*of the network's output are NaN/,
      0,
    ],
    ["NaN in the UNet", () => drawWithBroken("unet", "conv_in.bias"), /^Step 1 of 4 \(timestep \d+\): 256 of 256/, 0],
    ["NaN in the text encoder", () => drawWithBroken("textEncoder", "text_model.final_layer_norm.bias"), /^Step 1/, 0],
    [
      "NaN in the decoder",
      () => drawWithBroken("vae", "decoder.conv_out.bias"),
      /^Decoding: .*the pictures/,
      undefined,
    ],
    [
      "a product of prompt weights",
      () => draw({ promptWeighting: true, prompt: `${"(".repeat(30)}a${":9999)".repeat(30)}` }),
      /^Step 1/,
      0,
    ],
  ])("is refused for %s, by its step, and leaves no tensor", async (_, run, message, step) => {
    const error: unknown = await run().catch((error: unknown) => error);
    expect(error).toMatchObject({ name: "NonFiniteResultError", message: expect.stringMatching(message) });
    if (step === undefined) expect((error as { step?: number }).step).toBeUndefined();
    else expect((error as { step?: number }).step).toBeGreaterThanOrEqual(step);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it.each<[string, () => Partial<StableDiffusionOptions>, string]>([
    [
      "latents",
      () => ({ latents: noise(NaN) }),
      "latents: 256 of 256 values are NaN or infinite; expected finite numbers.",
    ],
    ["a mask of NaN", () => ({ image: picture(), mask: mask(NaN) }), "mask: values that are NaN or infinite; expected"],
    [
      "a mask in bytes",
      () => ({ image: picture(), mask: mask(255) }),
      "mask: values from 255 to 255; expected values from",
    ],
    ["text states", () => ({ prompt: undefined, promptEmbeds: states(Infinity) }), "promptEmbeds: "],
  ])("is refused for bad %s, before any work", async (_, options, message) => {
    const given = options();
    await expect(draw(given)).rejects.toMatchObject({
      name: "PipelineOptionError",
      message: expect.stringContaining(message),
    });
    tf.dispose(Object.values(given).filter((value) => value instanceof tf.Tensor));
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it.each<[string, string, string]>([
    ["brackets", "[".repeat(2000) + "cube" + "]".repeat(2000), "prompt: more than 100 brackets inside each other"],
    ["a weight", "a (cube:1e9) (cube:10001)", "prompt: a weight of 10001; the largest is 10000"],
  ])("is refused for too much weight by %s", async (_, prompt, message) => {
    await expect(draw({ promptWeighting: true, prompt })).rejects.toMatchObject({
      name: "PipelineOptionError",
      message: expect.stringContaining(message),
    });
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it("is refused in pixel space and in unCLIP, too", async () => {
    const pixels = new PixelDiffusionPipeline(tinyTextToImage());
    await expect(pixels.generate({ prompt: "a", guidanceScale: 1e39 })).rejects.toThrow(/^Step \d+ of 20/);
    await expect(pixels.generate({ prompt: "a", latents: tf.fill([1, 8, 8, 3], NaN) })).rejects.toThrow(
      /^latents: 192/,
    );
    pixels.dispose();
    const at = join(folder, "unclip");
    await writeTinyUnCLIP(at, "text");
    const unclip = await UnCLIPPipeline.fromPretrained(at);
    await expect(unclip.generate({ prompt: "a", priorGuidanceScale: 1e39 })).rejects.toThrow(/^Step \d+ of \d+/);
    unclip.dispose();
  });
});

describe("The checks of the steps", () => {
  /** A tensor that can only be read asynchronously, as on a graphics card; `arrive` ends the reading. */
  function onCard(values: number[]) {
    let arrive = () => {};
    const read = new Promise<Float32Array>((resolve) => (arrive = () => resolve(Float32Array.from(values))));
    const dataSync = () => {
      throw new Error("only data() works here");
    };
    return { x: { dataSync, data: () => read } as unknown as tf.Tensor, arrive };
  }

  it("let a graphics card be one step behind, and no more", async () => {
    const checks = new StepChecks();
    const [one, two] = [onCard([1]), onCard([2])];
    await checks.add("Step 1", 0, { x: one.x });
    let isChecked = false;
    const second = checks.add("Step 2", 1, { x: two.x }).then(() => (isChecked = true));
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(isChecked).toBe(false);
    one.arrive();
    await second;
    let isEnded = false;
    const end = checks.end().then(() => (isEnded = true));
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(isEnded).toBe(false);
    two.arrive();
    await end;
  });

  it("name the step that was not finite, although it is known later", async () => {
    const checks = new StepChecks();
    const [one, two] = [onCard([1, NaN]), onCard([2])];
    await checks.add("Step 1", 0, { "the latents": one.x });
    one.arrive();
    await expect(checks.add("Step 2", 1, { "the latents": two.x })).rejects.toMatchObject({
      message: expect.stringMatching(/^Step 1: 1 of 2 values of the latents/),
      step: 0,
    });
    const at = tf.tensor1d([Infinity]);
    await expect(checks.add("Step 3", 2, { x: at })).rejects.toThrow(/^Step 3: 1 of 1/);
    at.dispose();
  });
});
