import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { loadModel, LoraSet, openSafetensors, StableDiffusionXLPipeline, useBackend } from "@tfjs-diffusion/core";
import { AutoencoderKL, CLIPModel, type UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise, replayNoise } from "@tfjs-diffusion/schedulers";
import { writeFixedParts } from "../folder.js";
import { trainDecoder } from "./decoder.js";
import { trainFewSteps } from "./few-steps.js";
import { fixedParts } from "./folder.js";
import { shownAround, trainInpainting } from "./inpainting.js";
import { newNetworks } from "./networks.js";
import { clipConfig, TUNING_SETTINGS } from "./settings.js";
import { trainStyle } from "./style.js";
import { trainSubject } from "./subject.js";
import { LORA_FILE, type TuningOptions } from "./tuning.js";
import { assembleClip, trainVision } from "./vision.js";
import { LU_WORD, trainWord, WORD_FILE } from "./word.js";

const root = mkdtempSync(join(tmpdir(), "tuning-"));
const model = join(root, "model");
const settings = TUNING_SETTINGS.quick;
let vae: AutoencoderKL;

/** A complete model with random weights. */
beforeAll(async () => {
  await useBackend("wasm");
  await writeFixedParts(model, fixedParts());
  const clip = new CLIPModel(clipConfig());
  clip.initialize(keyedNoise(1));
  await clip.save(join(root, "clip"));
  clip.dispose();
  const { unet, textEncoder, textEncoder2 } = await newNetworks(0, join(root, "clip"));
  vae = new AutoencoderKL({
    block_out_channels: [8, 8, 8],
    down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
    up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
    norm_num_groups: 4,
    scaling_factor: 0.5,
  });
  vae.initialize(keyedNoise(2));
  const parts = { unet, text_encoder: textEncoder, text_encoder_2: textEncoder2, vae };
  for (const [name, part] of Object.entries(parts)) {
    await part.save(join(model, name));
    if (part !== vae) part.dispose();
  }
});
afterAll(() => {
  vae.dispose();
  rmSync(root, { recursive: true });
});

/** Runs a tuning to its end; returns the losses and the folder of the result. */
async function run(what: string, trainIt: (options: TuningOptions) => AsyncGenerator<TrainingStep, void>) {
  const out = join(root, what);
  const before = tf.memory().numTensors;
  const losses: number[] = [];
  const files = {
    checkpoint: join(out, "checkpoint.safetensors"),
    log: join(out, "loss.csv"),
    folder: join(out, "result"),
  };
  for await (const { loss } of trainIt({ settings, model, ...files })) losses.push(loss);
  expect(tf.memory().numTensors).toBe(before);
  expect(losses).toHaveLength(3);
  expect(losses.every(Number.isFinite)).toBe(true);
  expect(readFileSync(files.log, "utf8").trim().split("\n")).toHaveLength(4);
  return files.folder;
}

describe("A finished model", () => {
  it.each([
    ["style", trainStyle],
    ["few-steps", trainFewSteps],
    ["subject", trainSubject],
  ])("learns a LoRA, %s, that its pipeline can load and that changes what it draws", async (what, trainIt) => {
    const folder = await run(what, trainIt);
    const unet = (await loadModel(join(model, "unet"))) as UNet2DConditionModel;
    const loras = new LoraSet({ unet });
    const bits = () => [...unet.parameters()].map(([name, value]) => `${name} ${value.dataSync().join()}`);
    const before = bits();
    await loras.load(join(folder, LORA_FILE));
    expect(bits()).not.toEqual(before);
    loras.unload();
    expect(bits()).toEqual(before);
    loras.dispose();
    unet.dispose();
  });

  it("learns a word, which its pipeline can load, with different vectors for its two encoders", async () => {
    const file = join(await run("word", trainWord), WORD_FILE);
    const pipeline = await StableDiffusionXLPipeline.fromPretrained(model);
    const { textEncoder, textEncoder2 } = pipeline.parts;
    const first = textEncoder2.config.vocab_size;
    await pipeline.loadTextualInversion(file, LU_WORD);
    expect(pipeline.parts.tokenizer2.tokenize(LU_WORD)).toEqual([first, first + 1]);
    const stored = await openSafetensors(file);
    for (const [key, encoder] of [
      ["clip_l", textEncoder!],
      ["clip_g", textEncoder2],
    ] as const) {
      const table = encoder.parameters().get("text_model.embeddings.token_embedding.weight")!;
      expect([...table.slice([first, 0], [2, -1]).dataSync()]).toEqual([...((await stored.read(key)) as Float32Array)]);
    }
    expect(await stored.read("clip_l")).not.toEqual(await stored.read("clip_g"));
    await stored.close();
    pipeline.dispose();
  });

  it("learns to decode more colours from the same latents", async () => {
    const folder = await run("decoder", trainDecoder);
    const learned = (await loadModel(folder)) as AutoencoderKL;
    const same = (name: string) => {
      const [now, then] = [learned, vae].map((model) => model.parameters().get(name)!.dataSync());
      return now!.every((value, i) => Math.abs(value - then![i]!) <= 2 ** -10 * Math.abs(then![i]!)); // The weights are saved in half precision.
    };
    expect(same("encoder.conv_in.weight")).toBe(true);
    expect(same("quant_conv.weight")).toBe(true);
    expect(same("decoder.conv_out.weight")).toBe(false);
    expect(same("post_quant_conv.weight")).toBe(false);
    expect(learned.config.scaling_factor).toBe(vae.config.scaling_factor);
    learned.dispose();
  });

  it("learns to inpaint with a copy of its UNet that has 9 input channels", async () => {
    const folder = await run("inpainting", trainInpainting);
    const unet = (await loadModel(folder)) as UNet2DConditionModel;
    expect(unet.config.in_channels).toBe(9);
    const more = tf.tidy(() => unet.parameters().get("conv_in.weight")!.slice([0, 0, 4, 0]).abs().max().dataSync()[0]!);
    expect(more).toBeGreaterThan(0);
    unet.dispose();
    expect(existsSync(join(folder, "config.json"))).toBe(true);
  });
});

describe("The vision tower of a finished model", () => {
  it("is trained beside the fixed text tower, and forms a CLIP with it", async () => {
    const folder = await run("vision", trainVision);
    const clip = await assembleClip(model, folder);
    const towers = await Promise.all([join(model, "text_encoder_2"), folder].map((path) => loadModel(path)));
    for (const tower of towers)
      for (const [name, value] of tower.parameters())
        expect({ name, bits: clip.parameters().get(name)!.dataSync() }).toEqual({ name, bits: value.dataSync() });
    const covered = towers.flatMap((tower) => [...tower.parameters().keys()]);
    expect([...clip.parameters().keys()].filter((name) => !covered.includes(name))).toEqual(["logit_scale"]);
    for (const one of [clip, ...towers]) one.dispose();
  });
});

describe("The input of an inpainting UNet", () => {
  it("holds the mask and the picture outside it; pixels under the mask change nothing", () => {
    tf.tidy(() => {
      const masks = tf.zeros<tf.Rank.R4>([1, 8, 8, 1]).bufferSync();
      for (let y = 2; y < 6; y++) for (let x = 0; x < 4; x++) masks.set(1, 0, y, x, 0);
      const mask = masks.toTensor();
      const picture = keyedNoise(3).uniform([1, 32, 32, 3]).mul<tf.Tensor4D>(2).sub<tf.Tensor4D>(1);
      const under = tf.image.resizeNearestNeighbor(mask, [32, 32]);
      const shown = (pictures: tf.Tensor4D) => shownAround(vae, pictures, mask, replayNoise([tf.zeros([1, 8, 8, 4])]));
      const a = shown(picture);
      expect(a.shape).toEqual([1, 8, 8, 5]);
      expect(a.slice([0, 0, 0, 0], [1, 8, 8, 1]).sub(mask).abs().max().dataSync()[0]).toBe(0);
      const difference = (b: tf.Tensor4D) => a.sub(shown(b)).abs().max().dataSync()[0]!;
      expect(difference(picture.add<tf.Tensor4D>(under))).toBe(0);
      expect(difference(picture.add<tf.Tensor4D>(tf.sub(1, under)))).toBeGreaterThan(0.01);
    });
  });
});
