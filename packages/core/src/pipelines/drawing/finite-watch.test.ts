import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise, type NoiseSource } from "@tfjs-diffusion/schedulers";
import type { Model } from "../../models/model.js";
import { useTestBackend } from "../../testing/backend.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";
import type { StableDiffusionOptions } from "../stable-diffusion/stable-diffusion-options.js";

let folder: string;
let pipeline: StableDiffusionPipeline;
let tensors: number;

beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "finite "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
  await draw({});
  tensors = tf.memory().numTensors;
});
afterAll(async () => {
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

async function draw(options: Partial<StableDiffusionOptions>): Promise<number[]> {
  const { images, latents } = await pipeline.generate({
    prompt: "a red cube",
    width: 32,
    height: 32,
    numInferenceSteps: 3,
    ...options,
  });
  const values = [...images.dataSync()];
  tf.dispose([images, latents]);
  return values;
}

/** Draws with one infinite weight. */
async function drawWithBroken(
  part: "unet" | "vae" | "textEncoder",
  weight: string,
  onlyFromStep = 0,
): Promise<unknown> {
  const parameter = (pipeline.parts[part] as Model).namedParameters().get(weight)!;
  const sound = parameter.value.clone();
  const breakIt = () => tf.tidy(() => parameter.assign(sound.add(Infinity)));
  try {
    if (onlyFromStep === 0) breakIt();
    return await draw({ debug: true, onStep: ({ index }) => index + 1 === onlyFromStep && breakIt() });
  } finally {
    parameter.assign(sound);
    sound.dispose();
  }
}

describe("The option debug", () => {
  it.each<[string, () => Promise<unknown>, string, string]>([
    [
      "the UNet",
      () => drawWithBroken("unet", "down_blocks.0.resnets.0.conv1.bias", 2),
      "Step 3 of 4 (timestep 334), unet: The output of down_blocks.0.resnets.0.conv1 (Conv2d) holds",
      "down_blocks.0.resnets.0.conv1",
    ],
    [
      "the text encoder",
      () => drawWithBroken("textEncoder", "text_model.encoder.layers.1.mlp.fc1.bias"),
      "Reading the prompts, textEncoder: The output of text_model.encoder.layers.1.mlp.fc1 (Linear)",
      "text_model.encoder.layers.1.mlp.fc1",
    ],
    [
      "the autoencoder",
      () => drawWithBroken("vae", "decoder.mid_block.attentions.0.to_q.bias"),
      "Decoding, vae: The output of decoder.mid_block.attentions.0.to_q (Linear)",
      "decoder.mid_block.attentions.0.to_q",
    ],
  ])(
    "names the step and the layer where the output of %s is first not finite, and leaves no tensor",
    async (_, run, message, path) => {
      await expect(run()).rejects.toThrow(message);
      await expect(run()).rejects.toMatchObject({ name: "NonFiniteLayerError", path });
      expect(tf.memory().numTensors).toBe(tensors);
      expect(Object.hasOwn(pipeline.parts.unet, "forward")).toBe(false);
    },
  );

  it("distinguishes bad inputs and a bad sampler from a bad layer", async () => {
    const noise: NoiseSource = { ...keyedNoise(0), normal: (shape) => tf.fill(shape, NaN) };
    await expect(draw({ debug: true, noise })).rejects.toThrow(
      /^Step 1 of 4 \(timestep \d+\): the network's input holds 256 of 256 values/,
    );
    await expect(draw({ debug: true, guidanceScale: 1e39 })).rejects.toThrow(
      /^Step \d of 4 \(timestep \d+\): the sampler's result holds/,
    );
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it("does not change the picture, and runs no kernel when it is off", async () => {
    const kernels = async (debug?: boolean) => {
      const { kernels } = await tf.profile(async () => tf.tensor1d(await draw({ debug })));
      return kernels.map(({ name }) => name);
    };
    const off = await kernels();
    expect(off).toEqual(await kernels(false));
    expect(off).not.toContain("IsFinite");
    expect((await kernels(true)).filter((name) => name === "IsFinite").length).toBeGreaterThan(100);
    expect(await draw({ debug: true })).toEqual(await draw({}));
  });
});
