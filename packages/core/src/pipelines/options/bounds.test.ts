import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, schedulerFromConfig, SchedulerConfigError } from "@tfjs-diffusion/schedulers";
import { AutoencoderKL } from "../../models/autoencoder/autoencoder-kl.js";
import { ModelConfigError } from "../../models/errors.js";
import type { UNet2DModel } from "../../models/unet/unet-2d.js";
import { useTestBackend } from "../../testing/backend.js";
import { loadFixture } from "../../testing/fixture.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { PipelineFolderError } from "./errors.js";
import { DDPMPipeline } from "../pixels/ddpm.js";
import { PixelDiffusionPipeline } from "../pixels/pixel-diffusion.js";
import { tinyTextToImage } from "../../testing/tiny-text-to-image.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";

let folder: string;
let pipeline: StableDiffusionPipeline;
beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "bounds "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
});
afterAll(async () => {
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

describe("An option that asks for too much", () => {
  it.each([
    ["numImages", { numImages: 1e9 }, "numImages: 1000000000; expected a whole number, 1 or more, at most 10000."],
    ["width", { width: 1e9 }, "width: 1000000000; expected a whole number, 1 or more, at most 65536."],
    ["steps", { numInferenceSteps: 1e9 }, "numInferenceSteps: 1000000000; expected a whole number, 1 or more, at most"],
    ["prompts", { prompt: Array<string>(20_000).fill("a") }, "expected a string, or a list of strings, at most 10000."],
    ["pictures in all", { prompt: ["a", "b"], numImages: 6000 }, "numImages: 6000 of 2 prompts are 12000 pictures;"],
  ])("is refused at once: %s", async (_, options, message) => {
    const [started, bytes] = [performance.now(), process.memoryUsage().rss];
    await expect(pipeline.generate({ prompt: "a", ...options })).rejects.toMatchObject({
      name: "PipelineOptionError",
      message: expect.stringContaining(message),
    });
    expect(performance.now() - started).toBeLessThan(1000);
    expect(process.memoryUsage().rss - bytes).toBeLessThan(50e6);
  });

  it("is refused at once as a picture far larger than in training, whose attention would never end", async () => {
    const unet = await loadFixture<UNet2DModel>("unet2d_ddpm_cifar");
    const ddpm = new DDPMPipeline({ unet, scheduler: new DDIMScheduler() });
    const pixels = new PixelDiffusionPipeline(tinyTextToImage());
    const wide = { prompt: "a", width: 65_536 };
    for (const [draw, most] of [
      [() => ddpm.generate({ width: 65_536, height: 8 }), "65536 x 8 pixels; expected at most 65536 in all"],
      [() => pixels.generate({ ...wide, height: 8 }), "65536 x 8 pixels; expected at most 65536 in all"],
      [() => pipeline.generate({ ...wide, height: 32 }), "65536 x 32 pixels; expected at most 1048576 in all"],
    ] as const) {
      const [started, { numTensors }] = [performance.now(), tf.memory()];
      await expect(draw()).rejects.toMatchObject({
        name: "PipelineOptionError",
        message: expect.stringContaining(`width x height: ${most}, which are 1024 times those of`),
      });
      expect(performance.now() - started).toBeLessThan(1000);
      expect(tf.memory().numTensors).toBe(numTensors);
    }
    ddpm.dispose();
    pixels.dispose();
  });

  it("is refused in a scheduler's config, too", () => {
    const started = performance.now();
    const build = () => schedulerFromConfig({ _class_name: "DDIMScheduler", num_train_timesteps: 1e9 });
    expect(build).toThrow(SchedulerConfigError);
    expect(build).toThrow(/num_train_timesteps.*a whole number from 1 to 1000000/);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe("A damaged config", () => {
  it.each([null, "0.18", [0.18], Infinity])("is refused by its key and value: scaling_factor %s", (scaling_factor) => {
    const build = () => new AutoencoderKL({ scaling_factor } as never);
    expect(build).toThrow(ModelConfigError);
    expect(build).toThrow(/AutoencoderKL: scaling_factor = .*expected/);
  });

  it.each([
    [
      "a list in place of a class",
      (text: string) => text.replace('"CLIPTokenizer"', '["CLIPTokenizer"]'),
      /tokenizer the class \["CLIPT/,
    ],
    ["200 brackets", () => "[".repeat(200), /nested more than 127 levels deep/],
  ])("is refused in an index: %s", async (_, damage, message) => {
    const path = join(folder, "model_index.json");
    const sound = await readFile(path, "utf8");
    await writeFile(path, damage(sound));
    const opened = StableDiffusionPipeline.fromPretrained(folder);
    await expect(opened).rejects.toThrow(PipelineFolderError);
    await expect(opened).rejects.toThrow(message);
    await writeFile(path, sound);
  });
});
