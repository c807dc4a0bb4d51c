import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { loadModel, openSafetensors, StableDiffusionXLPipeline, useBackend } from "@tfjs-diffusion/core";
import type { UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { newControlNet } from "@tfjs-diffusion/core/training";
import type { SafetensorsFile } from "@tfjs-diffusion/core/weights";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { packagePath } from "../../src/package-folder.js";
import { LORA_FILE } from "./tuning.js";
import { LU_WORD, WORD_FILE } from "./word.js";

interface Meta {
  calls: Record<string, { prompt: string; num_inference_steps: number; guidance_scale: number }>;
  controlnet: { config: Record<string, unknown>; shapes: Record<string, number[]> };
}

const fixture = (name: string) => packagePath("fixtures", "portraits-own", name);

/** Stored by make.py beside the fixtures. */
describe("What was trained on the portraits, opened by Python's diffusers", () => {
  let pipeline: StableDiffusionXLPipeline;
  let stored: SafetensorsFile;
  let meta: Meta;
  beforeAll(async () => {
    await useBackend("wasm");
    stored = await openSafetensors(fixture("drawn.safetensors"));
    meta = JSON.parse(await readFile(fixture("meta.json"), "utf8")) as Meta;
  });
  beforeEach(async () => {
    pipeline = await StableDiffusionXLPipeline.fromPretrained(packagePath("weights", "portraits"));
  });
  afterAll(() => stored.close());

  const parts: Record<string, () => Promise<unknown>> = {
    word: () => pipeline.loadTextualInversion(packagePath("weights", "portraits-words", "lu", WORD_FILE), LU_WORD),
    subject: () => pipeline.loras.load(packagePath("weights", "portraits-loras", "zwx", LORA_FILE)),
  };

  it.each(Object.keys(parts))("draws the same picture with the %s, and another one without", async (name) => {
    const { prompt, num_inference_steps, guidance_scale } = meta.calls[name]!;
    const [latents, there] = [await picture(`${name}.latents`), await picture(`${name}.images`)];
    const draw = async () => {
      const options = { numInferenceSteps: num_inference_steps, guidanceScale: guidance_scale };
      const here = await pipeline.generate({ prompt, latents, ...options });
      const worst = tf.tidy(() => here.images.sub(there).abs().max().dataSync()[0]!);
      tf.dispose([here.images, here.latents]);
      return worst;
    };
    expect(await draw()).toBeGreaterThan(0.1);
    await parts[name]!();
    // Two float32 programs over 10 steps.
    expect(await draw()).toBeLessThan(1e-4);
    tf.dispose([latents, there]);
    pipeline.dispose();
  });

  it("are a ControlNet with the config and the parameters that diffusers gives it", async () => {
    const unet = (await loadModel(packagePath("weights", "portraits", "unet"))) as UNet2DConditionModel;
    const options = { conditioning_embedding_out_channels: [16, 32, 64], noise: keyedNoise(0) };
    const controlNet = newControlNet(unet, options);
    const shapes = [...controlNet.namedParameters()].map(([name, { diskShape }]) => [name, diskShape]);
    expect(Object.fromEntries(shapes)).toEqual(meta.controlnet.shapes);
    expect(controlNet.config).toMatchObject(meta.controlnet.config);
    for (const network of [controlNet, unet]) network.dispose();
    pipeline.dispose();
  });

  /** From torch's order, [B, C, H, W], to [B, H, W, C]. */
  async function picture(name: string): Promise<tf.Tensor4D> {
    const { shape } = stored.tensors.get(name)!;
    const data = (await stored.read(name)) as Float32Array;
    return tf.tidy(() =>
      tf.tensor4d(data, shape as [number, number, number, number]).transpose<tf.Tensor4D>([0, 2, 3, 1]),
    );
  }
});
