import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, keyedNoise, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import type { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import type { CLIPTextModel } from "../models/clip/clip-text-model.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { StableDiffusionPipeline } from "../pipelines/stable-diffusion/stable-diffusion.js";
import { fixturePath, Golden, loadFixture } from "../testing/fixture.js";
import { writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { denoisingLoss } from "../training/denoising-loss.js";
import { train } from "../training/train.js";
import { useBackend } from "./use-backend.js";

// How to run it without a graphics card: docs/backends.md.
const unavailable = await useBackend("webgpu").then(
  () => undefined,
  (error: Error) => error.message,
);
if (unavailable !== undefined) console.info(`The networks are not tested on WebGPU here: ${unavailable}`);
// WebGPU is optional: it needs a driver and the npm package webgpu.
const test = unavailable === undefined ? it : it.skip;

/**
 * rms(got - expected) / rms(expected), as the fixtures' noise floors are measured. WGSL's exp, sqrt and division are
 * good to some units in the last place where a processor's are exact, so that errors are a few times those of wasm
 * (1e-6).
 */
const TOLERANCE = 3e-5;

async function error(golden: Golden, name: string, got: tf.Tensor): Promise<number> {
  const expected = golden.tensor(name);
  expect(got.shape).toEqual(expected.shape);
  const [a, b] = [[...(await got.data())], [...(await expected.data())]];
  expected.dispose();
  const rms = (of: (i: number) => number) => Math.sqrt(b.reduce((sum, _, i) => sum + of(i) ** 2, 0));
  return rms((i) => a[i]! - b[i]!) / rms((i) => b[i]!);
}

/** How diffusers drew a run of the fixtures. */
interface Run {
  scheduler: Record<string, unknown>;
  call: { prompt: string; negative_prompt?: string; num_inference_steps: number; guidance_scale: number };
}

describe("On WebGPU", () => {
  beforeAll(() => (unavailable === undefined ? useBackend("webgpu") : undefined));

  test("a UNet answers as diffusers' does", async () => {
    const unet = await loadFixture<UNet2DConditionModel>("unet_sd1");
    const golden = await Golden.read("unet_sd1");
    const timesteps = await golden.tensor("in.timesteps").data();
    for (const t of timesteps) {
      const got = tf.tidy(() => unet.forward(golden.tensor("in.sample"), t, golden.tensor("in.encoder_hidden_states")));
      expect(await error(golden, `out.t${t}`, got)).toBeLessThan(TOLERANCE);
      got.dispose();
    }
    unet.dispose();
  });

  test("an autoencoder encodes and decodes as diffusers' does", async () => {
    const vae = await loadFixture<AutoencoderKL>("vae_basic");
    const golden = await Golden.read("vae_basic");
    const { mean, logvar } = tf.tidy(() => ({ ...vae.encode(golden.tensor("in.image")) }));
    const decoded = tf.tidy(() => vae.decode(golden.tensor("out.sample")));
    expect(await error(golden, "out.mean", mean)).toBeLessThan(TOLERANCE);
    expect(await error(golden, "out.logvar", logvar)).toBeLessThan(TOLERANCE);
    expect(await error(golden, "out.decoded", decoded)).toBeLessThan(TOLERANCE);
    tf.dispose([mean, logvar, decoded]);
    vae.dispose();
  });

  test("CLIP reads text as transformers' does", async () => {
    const model = await loadFixture<CLIPTextModel>("clip_text_quickgelu");
    const golden = await Golden.read("clip_text_quickgelu");
    const got = tf.tidy(() => ({ ...model.forward(golden.tensor("in.input_ids")) }));
    expect(await error(golden, "out.last_hidden_state", got.lastHiddenState)).toBeLessThan(TOLERANCE);
    expect(await error(golden, "out.pooler_output", got.pooled)).toBeLessThan(TOLERANCE);
    // Ids that a kernel computed are on the card only, and cannot be read at once.
    const computed = tf.tidy(
      () => model.forward(golden.tensor<tf.Tensor2D>("in.input_ids").add(tf.scalar(0, "int32"))).pooled,
    );
    expect(await error(golden, "out.pooler_output", computed)).toBeLessThan(TOLERANCE);
    tf.dispose([got, computed]);
    model.dispose();
  });

  test("Stable Diffusion draws what diffusers draws, and leaves no tensor", async () => {
    const folder = mkdtempSync(join(tmpdir(), "webgpu-"));
    await writeTinyStableDiffusion(folder);
    const pipeline = await StableDiffusionPipeline.fromPretrained(folder);
    const run = JSON.parse(
      readFileSync(fixturePath("tiny-stable-diffusion-runs/ddim.json"), "utf8").replaceAll("-Infinity", "null"),
    ) as Run;
    const golden = await Golden.read("tiny-stable-diffusion-runs", "ddim.safetensors");
    const latents = golden.tensor<tf.Tensor4D>("in.latents");
    const before = tf.memory().numTensors;
    const drawn = await pipeline.generate({
      prompt: run.call.prompt,
      negativePrompt: run.call.negative_prompt,
      numInferenceSteps: run.call.num_inference_steps,
      guidanceScale: run.call.guidance_scale,
      scheduler: schedulerFromConfig(run.scheduler),
      latents,
    });
    expect(await error(golden, "out.image", drawn.images)).toBeLessThan(TOLERANCE);
    tf.dispose(drawn);
    expect(tf.memory().numTensors).toBe(before);
    latents.dispose();
    pipeline.dispose();
    rmSync(folder, { recursive: true });
  });

  test("a UNet learns what it learns on the cpu backend", async () => {
    const losses = async (backend: string) => {
      await useBackend(backend);
      const unet = new UNet2DConditionModel({
        sample_size: 4,
        block_out_channels: [8, 8],
        layers_per_block: 1,
        norm_num_groups: 4,
        down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
        cross_attention_dim: 6,
        attention_head_dim: 2,
        up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
      });
      unet.initialize(keyedNoise(0));
      const scheduler = new DDIMScheduler();
      const steps = train({
        parameters: unet.parameters(),
        loss: ({ noise }) =>
          denoisingLoss({
            scheduler,
            model: (x, t) => unet.forward(x, tf.tensor1d(t), keyedNoise(2).normal([2, 3, 6]) as tf.Tensor3D),
            x0: keyedNoise(1).normal([2, 4, 4, 4]) as tf.Tensor4D,
            noise,
          }),
        steps: 4,
        batchSize: 2,
        schedule: 1e-3,
        seed: 0,
        gradientClip: 1,
        emaDecay: 0.9,
      });
      const found: number[] = [];
      for await (const { loss, gradientNorm } of steps) found.push(loss, gradientNorm);
      unet.dispose();
      return found;
    };
    const [gpu, cpu] = [await losses("webgpu"), await losses("cpu")];
    gpu.forEach((value, i) => expect(Math.abs(value - cpu[i]!)).toBeLessThan(1e-4 * cpu[i]!));
    await useBackend("webgpu");
  });
});
