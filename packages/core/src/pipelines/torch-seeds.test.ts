import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { batchNoise, keyedNoise, type NoiseSource, schedulerFromConfig, torchNoise } from "@tfjs-diffusion/schedulers";
import { loadModel } from "../models/load-model.js";
import type { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, Golden } from "../testing/fixture.js";
import { writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { slerpNoise } from "./interpolation.js";
import { StableDiffusionPipeline } from "./stable-diffusion/stable-diffusion.js";

/** Drawn by diffusers with `torch.Generator().manual_seed(seed)`: fixtures/torch-seeds/make.py. */
interface Run {
  kind: "text" | "image" | "inpaint" | "inpaint9";
  scheduler: Record<string, unknown>;
  /** One generator for the batch, or one for each picture. */
  seed: number | number[];
  call: Record<string, number | undefined>;
}

const { prompt: PROMPT, runs } = JSON.parse(readFileSync(fixturePath("torch-seeds/meta.json"), "utf8")) as {
  prompt: { prompt: string; negative_prompt: string; guidance_scale: number };
  runs: Record<string, Run>;
};

let folder: string;
let pipeline: StableDiffusionPipeline;
let inpainting: StableDiffusionPipeline;
let drawn: Golden;
let picture: Golden;

beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "torch seeds "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
  const unet = (await loadModel(fixturePath("tiny-sd-unet-inpaint9"))) as UNet2DConditionModel;
  inpainting = new StableDiffusionPipeline({ ...pipeline.parts, unet });
  drawn = await Golden.read("torch-seeds", "latents.safetensors");
  picture = await Golden.read("tiny-stable-diffusion-runs", "inpaint4.safetensors");
});
afterAll(async () => {
  (inpainting.parts.unet as UNet2DConditionModel).dispose();
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

function draw({ kind, scheduler, seed, call }: Run, noise: NoiseSource): Promise<tf.Tensor4D> {
  const by = kind === "inpaint9" ? inpainting : pipeline;
  const image = kind === "text" ? undefined : picture.tensor<tf.Tensor4D>("in.image");
  return by.generateLatents({
    prompt: PROMPT.prompt,
    negativePrompt: PROMPT.negative_prompt,
    guidanceScale: PROMPT.guidance_scale,
    numInferenceSteps: call.num_inference_steps,
    numImages: call.num_images_per_prompt,
    eta: call.eta,
    strength: call.strength,
    width: call.width,
    height: call.height,
    scheduler: schedulerFromConfig(scheduler),
    image: Array.isArray(seed) ? image?.tile<tf.Tensor4D>([seed.length, 1, 1, 1]) : image,
    mask: kind === "text" || kind === "image" ? undefined : picture.tensor<tf.Tensor4D>("in.mask_image"),
    noise,
  });
}

describe("torchNoise(7) draws what diffusers draws with manual_seed(7)", () => {
  it.each(Object.entries(runs))("%s", async (name, run) => {
    const noise = Array.isArray(run.seed) ? batchNoise(run.seed.map(torchNoise)) : torchNoise(run.seed);
    const latents = await draw(run, noise);
    // Whole runs of these networks agree to 2e-5, with noise that is the same to 5e-7.
    expect(drawn.error(`${name}.latents`, latents)).toBeLessThan(2e-5);
    latents.dispose();
  });

  it("and a source for each picture draws each as it would alone", async () => {
    const run = runs["euler_ancestral_seed_each"]!;
    const [both, second] = [
      await draw(run, batchNoise([torchNoise(7), torchNoise(8)])),
      await draw({ ...run, call: { ...run.call, num_images_per_prompt: 1 } }, torchNoise(8)),
    ];
    const apart = tf.tidy(() => both.slice([1], [1]).sub(second).abs().max().dataSync()[0]);
    expect(apart).toBeLessThan(1e-4);
    tf.dispose([both, second]);
  });

  it("and is swapped by slerpNoise, too", () => {
    tf.tidy(() => {
      const mixed = slerpNoise(torchNoise(7), keyedNoise(1), 0).normal([2, 5, 6, 4]);
      const torch = torchNoise(7).normal([2, 4, 5, 6]).transpose([0, 2, 3, 1]);
      expect([...mixed.dataSync()]).toEqual([...torch.dataSync()]);
    });
  });
});
