import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import type { CLIPVisionModelWithProjection } from "../../models/clip/clip-vision-model.js";
import { loadModel } from "../../models/load-model.js";
import type { Model } from "../../models/model.js";
import type { ControlNetModel } from "../../models/unet/controlnet.js";
import type { IPAdapter } from "../../models/unet/ip-adapter.js";
import type { T2IAdapter } from "../../models/unet/t2i-adapter.js";
import { useBackend } from "../../backend/use-backend.js";
import { fixturePath, loadFixture } from "../../testing/fixture.js";
import { writeTinyControlNet, writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";
import type { StableDiffusionOptions } from "./stable-diffusion-options.js";

/** Three prompts of two pictures each; slices of 4 end in the middle of a prompt. */
const PROMPTS = { prompt: ["a red cube", "a hill", "two birds"], numImages: 2 };

let folder: string;
let pipeline: StableDiffusionPipeline;
let imageEncoder: CLIPVisionModelWithProjection;
let networks: { control: ControlNetModel; base: IPAdapter; plus: IPAdapter; adapter: T2IAdapter };
let tensors: tf.Tensor[];
/** Random pictures and masks, each of them different. */
const pictures = (count: number, side: number) => kept(keyedNoise(count).uniform([count, side, side, 3]));
const kept = <T extends tf.Tensor>(x: tf.Tensor): T => {
  tensors.push(x);
  return x as T;
};

beforeAll(async () => {
  await useBackend("wasm"); // On which the numbers of a picture do not depend on the batch.
  tensors = [];
  folder = mkdtempSync(join(tmpdir(), "sliced "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
  await writeTinyControlNet(join(folder, "controlnet"));
  imageEncoder = await loadFixture("clip_vision_proj");
  const ipAdapter = async (name: string) =>
    (await loadModel(fixturePath(`tiny-ip-adapter/${name}.safetensors`))) as IPAdapter;
  networks = {
    control: (await loadModel(join(folder, "controlnet"))) as ControlNetModel,
    base: await ipAdapter("base"),
    plus: await ipAdapter("plus"),
    adapter: await loadFixture<T2IAdapter>("tiny-t2i-adapter"),
  };
});
afterAll(() => {
  pipeline.dispose();
  for (const network of [...Object.values<Model>(networks), imageEncoder]) network.dispose();
  tf.dispose(tensors);
  rmSync(folder, { recursive: true });
});

/** Six masks, each a square at another place, [6, 48, 40, 1]; the last one is soft. */
function masks(): tf.Tensor4D {
  return kept(
    tf.tidy(() => {
      const square = (i: number) =>
        tf.pad(tf.fill([8, 9, 1], i === 5 ? 0.5 : 1), [
          [4 * i, 40 - 4 * i],
          [3 * i, 31 - 3 * i],
          [0, 0],
        ]);
      return tf.stack(Array.from({ length: 6 }, (_, i) => square(i)));
    }),
  );
}

const painted = (count: number) => kept<tf.Tensor4D>(keyedNoise(count).uniform([count, 48, 40, 3]));
const control = (more: object = {}) => ({ model: networks.control, image: pictures(1, 32) as tf.Tensor4D, ...more });
const ofPicture = (model: IPAdapter, more: object = {}) => {
  const { image_size: side } = imageEncoder.config;
  return { model, imageEncoder, image: pictures(1, side) as tf.Tensor4D, ...more };
};

const CASES: Record<string, () => Partial<StableDiffusionOptions>> = {
  "a ControlNet": () => ({ control: control() }),
  "two ControlNets, one of them in guess mode and for half of the steps": () => ({
    control: [control({ scale: 0.7, end: 0.5 }), control({ guessMode: true })],
  }),
  "a T2I-Adapter": () => ({ adapter: { model: networks.adapter, image: pictures(1, 32) as tf.Tensor4D } }),
  "an IP-Adapter": () => ({ ipAdapter: ofPicture(networks.base) }),
  "two IP-Adapters, one with a mask, and perturbed attention": () => ({
    ipAdapter: [ofPicture(networks.plus, { scale: 0.5 }), ofPicture(networks.base, { mask: kept(halfMask()) })],
    pagScale: 2,
  }),
  "an IP-Adapter without guidance": () => ({ ipAdapter: ofPicture(networks.base), guidanceScale: 1 }),
  "an IP-Adapter and guidance in some steps": () => ({
    ipAdapter: ofPicture(networks.base),
    guidanceInterval: [0.4, 1],
  }),
  "AND, of another number of prompts in each": () => ({
    prompt: ["a red cube AND a hill:0.7", "two birds", "a hill:0.5 AND two birds AND a cube:-0.3"],
    promptWeighting: true,
  }),
  "AND, a ControlNet and an IP-Adapter": () => ({
    prompt: ["a red cube AND a hill:0.7", "two birds", "a hill"],
    promptWeighting: true,
    control: control(),
    ipAdapter: ofPicture(networks.base),
  }),
  "only-masked inpainting of one picture": () => ({
    image: painted(1),
    mask: kept<tf.Tensor4D>(masks().slice([0], [1])),
    paddingMaskCrop: 3,
  }),
  "only-masked inpainting of each picture by its own mask": () => ({
    image: painted(6),
    mask: masks(),
    paddingMaskCrop: 3,
  }),
  "only-masked inpainting of one picture by several masks, pasted back": () => ({
    image: painted(1),
    mask: masks(),
    paddingMaskCrop: 3,
    pasteBack: true,
    maskBlur: 2,
  }),
};

/** [32, 32], of which the left half is marked. */
const halfMask = () => tf.tidy(() => tf.concat<tf.Tensor2D>([tf.ones([32, 16]), tf.zeros([32, 16])], 1));

/** The latents of each picture, and all pixels. */
async function draw(
  options: Partial<StableDiffusionOptions>,
): Promise<{ latents: Float32Array[]; images: Float32Array }> {
  const asked = { ...PROMPTS, negativePrompt: "blurry", numInferenceSteps: 3, width: 32, height: 32, ...options };
  const drawn = await pipeline.generate(asked);
  const latents = await drawn.latents.data<"float32">();
  const size = latents.length / drawn.latents.shape[0];
  const images = await drawn.images.data<"float32">();
  tf.dispose(drawn);
  return { latents: Array.from({ length: 6 }, (_, i) => latents.slice(i * size, (i + 1) * size)), images };
}

const isEqual = (a: Float32Array, b: Float32Array) => a.length === b.length && a.every((x, i) => Object.is(x, b[i]));

describe("Six pictures of three prompts in slices are those of one batch, bit for bit, with", () => {
  it.each(Object.entries(CASES))("%s", async (_, make) => {
    const options = make();
    const before = tf.memory().numTensors;
    const whole = await draw(options);
    // Pictures that are mixed up are noticed, because all differ.
    expect(new Set(whole.latents.map((latents) => latents[0])).size).toBe(6);
    for (const batchSize of [1, 4]) {
      const sliced = await draw({ ...options, batchSize });
      expect(sliced.latents.map((latents, i) => isEqual(latents, whole.latents[i]!))).toEqual(Array(6).fill(true));
      expect(isEqual(sliced.images, whole.images)).toBe(true);
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
