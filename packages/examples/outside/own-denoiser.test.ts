import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  openPipeline,
  PipelineFolderError,
  PipelineOptionError,
  PipelinePartsError,
  StableDiffusionPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import type { Model, UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { AutoencoderKL, type ConditionalDenoiser, ControlNetModel, loadModel } from "@tfjs-diffusion/core/models";
import { encodeSafetensors } from "@tfjs-diffusion/core/weights";
import { DDIMScheduler, EulerDiscreteScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { OwnDenoiser } from "./own-denoiser.js";
import { tinyStableDiffusion } from "./tiny-stable-diffusion.js";

const STABLE_DIFFUSION = { beta_schedule: "scaled_linear", beta_start: 0.00085, beta_end: 0.012 } as const;
const classes = { OwnDenoiser };

let pipeline: StableDiffusionPipeline;
let own: OwnDenoiser;
let image: tf.Tensor4D;
let folder: string;
beforeAll(async () => {
  await useBackend("wasm");
  image = keyedNoise(9).uniform([1, 16, 16, 3]) as tf.Tensor4D;
  folder = await mkdtemp(join(tmpdir(), "own denoiser "));
});
afterAll(async () => {
  image.dispose();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  pipeline = tinyStableDiffusion(new EulerDiscreteScheduler(STABLE_DIFFUSION));
  own = new OwnDenoiser();
  own.initialize(keyedNoise(3));
});
afterEach(() => {
  pipeline.dispose();
  own.dispose();
});

async function draw(by: StableDiffusionPipeline, options: object = {}): Promise<number[]> {
  const size = { width: 16, height: 16, numInferenceSteps: 4 };
  const { images, latents } = await by.generate({ prompt: "red", ...size, ...options });
  const values = [...(await images.data())];
  tf.dispose([images, latents]);
  return values;
}

describe("A custom denoiser", () => {
  it("draws from text and from a picture, depends on the prompt, and leaves no tensors", async () => {
    pipeline.parts.unet = own;
    const before = tf.memory().numTensors;
    const drawn = await draw(pipeline);
    expect(drawn.every(Number.isFinite)).toBe(true);
    expect(await draw(pipeline)).toEqual(drawn);
    expect(await draw(pipeline, { prompt: "blue" })).not.toEqual(drawn);
    expect(await draw(pipeline, { guidanceScale: 1 })).not.toEqual(drawn);
    expect(await draw(pipeline, { image, strength: 0.5 })).not.toEqual(drawn);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("can be an object without a class or weights", async () => {
    const calls: number[] = [];
    const toZero: ConditionalDenoiser = {
      inChannels: 4,
      outChannels: 4,
      contextWidth: 8,
      forward: (x, t) => (calls.push(t as number), x.clone()),
    };
    pipeline.parts.unet = toZero;
    expect((await draw(pipeline)).every(Number.isFinite)).toBe(true);
    expect(calls).toHaveLength(4);
    await expect(pipeline.savePretrained(join(folder, "object"))).rejects.toThrow(/unet.*cannot be saved.*Model/s);
  });

  it("is saved with the pipeline, and opens again by its class", async () => {
    pipeline.parts.unet = own;
    await pipeline.savePretrained(join(folder, "saved"));
    const index = JSON.parse(await readFile(join(folder, "saved", "model_index.json"), "utf8")) as object;
    expect(index).toMatchObject({ unet: ["diffusers", "OwnDenoiser"] });
    const opened = (await openPipeline(join(folder, "saved"), { classes })) as StableDiffusionPipeline;
    expect(opened.parts.unet).toBeInstanceOf(OwnDenoiser);
    expect(await draw(opened)).toEqual(await draw(pipeline));
    opened.dispose();
    const alone = await loadModel(join(folder, "saved", "unet"), { classes });
    expect(alone.config).toEqual(own.config);
    alone.dispose();
    await expect(openPipeline(join(folder, "saved"))).rejects.toThrow(PipelineFolderError);
    await expect(openPipeline(join(folder, "saved"))).rejects.toThrow("give it as classes: { OwnDenoiser }");
    await expect(loadModel(join(folder, "saved", "unet"))).rejects.toThrow(/"OwnDenoiser" is not .*classes: \{/);
  });

  it("takes LoRAs of its layers, by their names", async () => {
    const weights = () => [...own.parameters().values()].map((value) => [...value.dataSync()]);
    const before = weights();
    const old = pipeline.parts.unet as UNet2DConditionModel;
    const untouched = [...old.parameters().values()].map((value) => [...value.dataSync()]);
    pipeline.parts.unet = own;
    const plain = await draw(pipeline);
    await pipeline.loras.load(await ownLora());
    expect(await draw(pipeline)).not.toEqual(plain);
    expect([...old.parameters().values()].map((value) => [...value.dataSync()])).toEqual(untouched);
    pipeline.loras.unload();
    expect(weights()).toEqual(before);
    expect(await draw(pipeline)).toEqual(plain);
  });

  it("is checked by the option debug, which names its layer", async () => {
    pipeline.parts.unet = own;
    const bias = own.namedParameters().get("conv.bias")!;
    bias.assign(tf.fill([4], NaN));
    await expect(draw(pipeline, { debug: true })).rejects.toThrow(/Step 1 of 4 .*unet: The output of conv \(Conv2d\)/);
  });

  it("has no feature maps for a ControlNet, which is refused before any work", async () => {
    pipeline.parts.unet = own;
    const model = new ControlNetModel({ cross_attention_dim: 8 });
    const control = { model, image: image.squeeze<tf.Tensor3D>([0]) };
    await expect(draw(pipeline, { control })).rejects.toThrow(PipelineOptionError);
    await expect(draw(pipeline, { control })).rejects.toThrow(/featureMaps: 8x8x320, .*; expected none/);
  });
});

/** A LoRA of rank 1 for the text layer, with PEFT's names. */
function ownLora(): Promise<Uint8Array> {
  const ones = (...shape: number[]) => ({
    dtype: "F32" as const,
    shape,
    data: new Float32Array(shape.reduce((size, side) => size * side)).fill(1),
  });
  return encodeSafetensors(
    new Map([
      ["unet.text.lora_A.weight", ones(1, 8)],
      ["unet.text.lora_B.weight", ones(4, 1)],
    ]),
  );
}

describe("A part that is replaced", () => {
  const others: [keyof StableDiffusionPipeline["parts"], () => object][] = [
    ["unet", () => own],
    ["vae", () => another(pipeline.parts.vae)],
    ["textEncoder", () => another(pipeline.parts.textEncoder)],
    ["scheduler", () => new DDIMScheduler({ ...STABLE_DIFFUSION, clip_sample: false, steps_offset: 1 })],
  ];

  it.each(others)("takes effect at the next call: %s", async (name, other) => {
    const before = await draw(pipeline, { image });
    pipeline.parts[name] = other() as never;
    const drawn = await draw(pipeline, { image });
    expect(drawn).not.toEqual(before);
    expect(drawn).toEqual(await draw(new StableDiffusionPipeline({ ...pipeline.parts }), { image }));
  });

  it.each<[string, string, () => unknown, RegExp]>([
    [
      "a network of another kind",
      "unet",
      () => another(pipeline.parts.vae),
      /unet is an object of the class AutoencoderKL; expected a den/,
    ],
    ["a denoiser of other latents", "unet", () => new OwnDenoiser({ channels: 3 }), /takes 3 channels; expected 4,/],
    ["a denoiser of wider text", "unet", () => new OwnDenoiser({ context_width: 16 }), /text states of width 16;/],
    [
      "an autoencoder of other latents",
      "vae",
      () => new AutoencoderKL({ latent_channels: 8 }),
      /takes 4 channels; expected 8,/,
    ],
    ["nothing", "scheduler", () => undefined, /scheduler is undefined; expected a scheduler/],
    ["an unknown part", "transformer", () => own, /transformer is not one of its parts, which are unet, vae/],
  ])("is refused at the assignment if it is %s, and the old one stays", async (_, name, wrong, message) => {
    const parts = pipeline.parts as unknown as Record<string, unknown>;
    const [before, drawn] = [{ ...parts }, await draw(pipeline)];
    expect(() => (parts[name] = wrong())).toThrow(PipelinePartsError);
    expect(() => (parts[name] = wrong())).toThrow(message);
    expect({ ...parts }).toEqual(before);
    expect(await draw(pipeline)).toEqual(drawn);
  });
});

/** A network with the same config and other weights. */
function another<M extends Model>(network: M): M {
  const other = new (network.constructor as new (config: object) => M)(network.config);
  other.initialize(keyedNoise(7));
  return other;
}
