import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useBackend } from "../../backend/use-backend.js";
import { loadModel } from "../../models/load-model.js";
import { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { weightBytes } from "../../models/weights-memory.js";
import { denoiserBytes } from "../../models/activation-memory.js";
import { BackendMemoryError, limitMemory } from "../../platform/backend-memory.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";
import { picturesAtOnce } from "./drawing-memory.js";

let folder: string;
beforeAll(async () => {
  await useBackend("wasm");
  folder = await mkdtemp(join(tmpdir(), "memory "));
});
afterAll(() => rm(folder, { recursive: true }));

/** As Stable Diffusion XL's: 2.6 billion weights, which are never allocated here. */
const LARGE = {
  block_out_channels: [320, 640, 1280],
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  transformer_layers_per_block: [1, 2, 10],
  attention_head_dim: [5, 10, 20],
  cross_attention_dim: 2048,
  use_linear_projection: true,
} as const;

describe("WebAssembly's memory", () => {
  it("is compared with the weights before any is read, and the error says what would do", async () => {
    const config = { _class_name: "UNet2DConditionModel", ...LARGE };
    await writeFile(join(folder, "config.json"), JSON.stringify(config));
    expect(weightBytes(new UNet2DConditionModel(LARGE as never))).toBeGreaterThan(10e9);
    const opened = loadModel(folder);
    await expect(opened).rejects.toThrow(BackendMemoryError);
    await expect(opened).rejects.toThrow(
      /to hold its weights as float32 needs about 9\.\d GiB; WebAssembly can hold 3\.9 GiB/,
    );
    await expect(opened).rejects.toThrow(
      /useBackend\("node"\) or useBackend\("webgpu"\)\), or take a smaller model\.$/,
    );
  });

  it("is compared with a whole pipeline and with a drawing, before any work; a smaller drawing is made", async () => {
    const tiny = join(folder, "tiny");
    await mkdir(tiny);
    await writeTinyStableDiffusion(tiny);
    const pipeline = await StableDiffusionPipeline.fromPretrained(tiny);
    const asked = { prompt: "a", numInferenceSteps: 1 };
    const tensors = tf.memory().numTensors;
    const started = performance.now();
    const failure = pipeline.generate({ ...asked, width: 16_384, height: 16_384 });
    await expect(failure).rejects.toThrow(BackendMemoryError);
    await expect(failure).rejects.toThrow(
      /^Drawing 1 x 16384 x 16384 pixels at once needs about .* GiB.*, or draw smaller pictures, or fewer at once\.$/,
    );
    expect(performance.now() - started).toBeLessThan(1000);
    await expect(pipeline.generate({ ...asked, width: 512, height: 512, numImages: 10_000 })).rejects.toThrow(
      BackendMemoryError,
    );
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose(await pipeline.generate({ ...asked, width: 32, height: 32 }));
    pipeline.dispose();
  });

  it("needs at least what is estimated, and at most a few times as much", async () => {
    const unet = new UNet2DConditionModel({
      block_out_channels: [32, 64],
      down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
      up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
      attention_head_dim: 4,
      cross_attention_dim: 32,
      norm_num_groups: 8,
    });
    unet.initialize(keyedNoise(0));
    const [x, context] = [tf.zeros<tf.Rank.R4>([2, 48, 48, 4]), tf.zeros<tf.Rank.R3>([2, 8, 32])];
    const { peakBytes } = await tf.profile(() => tf.tidy(() => unet.forward(x, 1, context)));
    const beside = peakBytes - weightBytes(unet);
    const estimate = 2 * denoiserBytes(unet, 48, 48);
    expect(beside).toBeGreaterThan(estimate);
    expect(beside).toBeLessThan(4 * estimate);
    tf.dispose([x, context]);
    unet.dispose();
  });

  it("decides how many pictures are drawn at once", () => {
    const needs = { pictures: 100, height: 8, width: 8, running: 1e6, kept: 1e5 };
    const { numBytes } = tf.memory();
    try {
      limitMemory(numBytes + 100 * 1e5 + 4 * 7e6);
      expect(picturesAtOnce(needs)).toBe(7);
      expect(picturesAtOnce({ ...needs, pictures: 5 })).toBe(5);
      expect(picturesAtOnce(needs, 20)).toBe(20);
      limitMemory(numBytes + 100 * 1e5 + 1e6);
      expect(picturesAtOnce(needs)).toBe(1); // It may fit.
      expect(() => picturesAtOnce(needs, 2)).toThrow(
        /^Drawing 100 x 8 x 8 pixels, 2 at once, needs about 12 MiB; limitMemory allows /,
      );
      limitMemory(numBytes + 100 * 1e5);
      expect(() => picturesAtOnce(needs)).toThrow(BackendMemoryError);
    } finally {
      limitMemory();
    }
    expect(picturesAtOnce(needs)).toBe(100);
    expect(() => limitMemory(0)).toThrow("limitMemory: 0; give a number of bytes above 0, such as 8e9.");
  });
});
