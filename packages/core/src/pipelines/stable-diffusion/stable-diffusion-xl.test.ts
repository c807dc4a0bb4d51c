import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise, replayNoise, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { folderToSingleFile } from "../../layouts/convert-to-file.js";
import type { AutoencoderKL } from "../../models/autoencoder/autoencoder-kl.js";
import type { AutoencoderKLConfig } from "../../models/autoencoder/autoencoder-kl-config.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, fixturePath, Golden } from "../../testing/fixture.js";
import {
  derivedVae,
  tinyInpaintUNet,
  tinyRefinerUNet,
  writeTinyStableDiffusionXL,
} from "../../testing/stable-diffusion.js";
import { writeSafetensors } from "../../weights/write-safetensors.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import { PipelinePartsError } from "../options/errors.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion-xl.js";
import type { StableDiffusionXLOptions } from "./stable-diffusion-xl-options.js";

const FIXTURE = fixturePath("tiny-sdxl");
const names = readdirSync(FIXTURE)
  .filter((name) => name.endsWith(".safetensors"))
  .map((name) => name.replace(".safetensors", ""));

/** The settings of one of the fixture's runs of diffusers. */
interface Run {
  scheduler: Record<string, unknown>;
  call: Record<string, unknown>;
  callback_timesteps: number[];
  unet?: "refiner" | "9 channels";
  /** Further entries of its autoencoder's config. */
  vae?: Partial<AutoencoderKLConfig>;
  force_zeros_for_empty_prompt?: boolean;
}

let folder: string;
let pipeline: StableDiffusionXLPipeline;
let refiner: StableDiffusionXLPipeline;
let inpainting: StableDiffusionXLPipeline;

beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "stable diffusion xl "));
  await writeTinyStableDiffusionXL(folder);
  pipeline = await StableDiffusionXLPipeline.fromPretrained(folder);
  const { parts } = pipeline;
  const unet = parts.unet as UNet2DConditionModel;
  inpainting = new StableDiffusionXLPipeline({ ...parts, unet: tinyInpaintUNet(unet) });
  refiner = new StableDiffusionXLPipeline({
    ...parts,
    unet: tinyRefinerUNet(unet),
    textEncoder: undefined,
    tokenizer: undefined,
    forceZerosForEmptyPrompt: false,
  });
});
afterAll(async () => {
  for (const { parts } of [inpainting, refiner]) (parts.unet as UNet2DConditionModel).dispose();
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

const camelCase = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** Our options for the settings of a run. */
function optionsOf({ call, scheduler }: Run, golden: Golden): StableDiffusionXLOptions {
  const given = (name: string) => (golden.has(name) ? golden.tensor<tf.Tensor4D>(name) : undefined);
  const { num_images_per_prompt: numImages, output_type: _, ...rest } = call;
  const handed = "denoising_start" in call;
  return {
    ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [camelCase(name), value])),
    ...(numImages !== undefined && { numImages: numImages as number }),
    ...(handed && { width: 32, height: 32 }),
    latents: handed ? given("in.image") : given("in.latents"),
    image: handed ? undefined : given("in.image"),
    mask: given("in.mask_image"),
    scheduler: schedulerFromConfig(scheduler),
    noise: replayNoise(golden.names("noise.").map((name) => golden.tensor(name))),
  };
}

/** The pipeline for a run. */
async function prepared(name: string, run: Run): Promise<StableDiffusionXLPipeline> {
  if (run.unet) return run.unet === "refiner" ? refiner : inpainting;
  if (run.vae)
    return new StableDiffusionXLPipeline({
      ...pipeline.parts,
      vae: derivedVae(pipeline.parts.vae as AutoencoderKL, run.vae),
    });
  if (name === "lora") await pipeline.loras.load(join(FIXTURE, "adapters", "lora_kohya.safetensors"), { scale: 0.8 });
  if (name === "textual_inversion") {
    const taught = await StableDiffusionXLPipeline.fromPretrained(folder);
    await taught.loadTextualInversion(join(FIXTURE, "adapters", "textual_inversion.safetensors"), "<toy>");
    return taught;
  }
  const { force_zeros_for_empty_prompt: forceZerosForEmptyPrompt = true } = run;
  return new StableDiffusionXLPipeline({ ...pipeline.parts, forceZerosForEmptyPrompt });
}

describe("Stable Diffusion XL draws what diffusers draws", () => {
  it.each(names)("%s: at every step, and at the end", async (name) => {
    const run = JSON.parse(readFileSync(join(FIXTURE, `${name}.json`), "utf8").replaceAll("-Infinity", "null")) as Run;
    const golden = await Golden.read("tiny-sdxl", `${name}.safetensors`);
    const errors = new Map<string, number>();
    const timesteps: number[] = [];
    const by = await prepared(name, run);
    const { images, latents } = await by.generate({
      ...optionsOf(run, golden),
      onStep: ({ index, timestep, latents: x }) => {
        timesteps.push(timestep);
        errors.set(`out.latents${index}`, golden.error(`out.latents${index}`, x));
      },
    });
    if (golden.has("out.handed")) errors.set("out.handed", golden.error("out.handed", latents));
    else errors.set("out.image", golden.error("out.image", images));
    tf.dispose([images, latents]);
    pipeline.loras.unload();
    if (name === "textual_inversion") by.dispose();
    if (run.vae) by.parts.vae.dispose();
    expect(timesteps).toEqual(run.callback_timesteps.map((t) => expect.closeTo(t, 3)));
    expect(errors.size).toBe(run.callback_timesteps.length + 1);
    // As for the tiny Stable Diffusion's runs, ten times torch's own noise floor.
    expect(above(2e-5, errors)).toEqual([]);
  });
});

const PROMPT = { prompt: "a red cube", width: 32, height: 32, numInferenceSteps: 3 };

/** Draws, and returns the pictures as numbers. */
async function draw(options: StableDiffusionXLOptions, by = pipeline): Promise<number[]> {
  const { images, latents } = await by.generate(options);
  const values = [...images.dataSync()];
  tf.dispose([images, latents]);
  return values;
}

describe("Stable Diffusion XL", () => {
  it("gives the same result when a second pipeline takes over halfway", async () => {
    const options = { ...PROMPT, numInferenceSteps: 8, seed: 5 };
    const whole = await pipeline.generateLatents(options);
    const half = await pipeline.generateLatents({ ...options, denoisingEnd: 0.5 });
    const rest = await pipeline.generateLatents({ ...options, latents: half, denoisingStart: 0.5 });
    expect([...rest.dataSync()]).toEqual([...whole.dataSync()]);
    tf.dispose([whole, half, rest]);
  });

  it.each([true, false])(
    "gives the same result when a second inpainting network of 9 channels takes over, with pasteBack: %s",
    async (pasteBack) => {
      const image = tf.randomUniform<tf.Rank.R3>([32, 32, 3], 0, 1, undefined, 1);
      const mask = tf.ones<tf.Rank.R2>([16, 32]).pad<tf.Tensor2D>([
        [16, 0],
        [0, 0],
      ]);
      const [kept, start, shown] = [0, 1, 2].map((seed) => keyedNoise(seed).normal([1, 8, 8, 4]));
      const noises = pasteBack ? [kept!, start!, shown!] : [start!, shown!];
      const options = { ...PROMPT, image, mask, numInferenceSteps: 4, pasteBack };
      const before = tf.memory().numTensors;
      const whole = await draw({ ...options, noise: replayNoise(noises) }, inpainting);
      const base = { ...options, noise: replayNoise(noises), denoisingEnd: 0.5 };
      const latents = await inpainting.generateLatents(base);
      const rest = { ...options, noise: replayNoise(pasteBack ? noises : [shown!]), latents, denoisingStart: 0.5 };
      expect(await draw(rest, inpainting)).toEqual(whole);
      const unseen = { ...rest, image: undefined, pasteBack: false, width: 32, height: 32 };
      await expect(draw(unseen, inpainting)).rejects.toThrow("image, mask: missing; this network was trained to fill");
      latents.dispose();
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose([image, mask, kept!, start!, shown!]);
    },
  );

  it("keeps the region outside the mask of another pipeline's latents, and frees its tensors", async () => {
    const latents = tf.randomNormal<tf.Rank.R4>([1, 8, 8, 4], 0, 1, "float32", 3);
    const mask = tf.zeros<tf.Rank.R2>([32, 16]).pad<tf.Tensor2D>(
      [
        [0, 0],
        [0, 16],
      ],
      1,
    );
    const before = tf.memory().numTensors;
    const ended = await refiner.generateLatents({ ...PROMPT, latents, mask, denoisingStart: 0.4 });
    const columns = (x: tf.Tensor4D, from: number) => [...x.slice([0, 0, from, 0], [-1, -1, 4, -1]).dataSync()];
    tf.tidy(() => {
      expect(columns(ended, 0)).toEqual(columns(latents, 0));
      expect(columns(ended, 4)).not.toEqual(columns(latents, 4));
    });
    ended.dispose();
    const pasting = refiner.generate({ ...PROMPT, latents, mask, denoisingStart: 0.4, pasteBack: true });
    await expect(pasting).rejects.toThrow("pasteBack: given without the image");
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([latents, mask]);
  });

  it("depends on the sizes, and distinguishes an empty negative prompt from a missing one", async () => {
    const plain = await draw(PROMPT);
    expect(await draw({ ...PROMPT, originalSize: [32, 32], targetSize: [32, 32] })).toEqual(plain);
    expect(await draw({ ...PROMPT, originalSize: [16, 16] })).not.toEqual(plain);
    expect(await draw({ ...PROMPT, negativePrompt: "" })).not.toEqual(plain);
  });

  it("takes states and sentence vectors in place of prompts", async () => {
    const { textEncoder, textEncoder2, tokenizer, tokenizer2 } = pipeline.parts;
    const [a, b] = [tokenizer!, tokenizer2].map((t) => tf.tensor2d([t.encode("a red cube")], undefined, "int32"));
    const first = textEncoder!.forward(a!);
    const second = textEncoder2.forward(b!);
    const promptEmbeds = tf.concat([first.hiddenStates.at(-2)!, second.hiddenStates.at(-2)!], 2);
    const { prompt, ...rest } = PROMPT;
    const embeds = { promptEmbeds, pooledPromptEmbeds: second.textEmbeds };
    expect(await draw({ ...rest, ...embeds })).toEqual(await draw({ ...rest, prompt }));
    await expect(draw({ ...rest, promptEmbeds })).rejects.toThrow("promptEmbeds: given without pooledPromptEmbeds");
  });

  it("draws with a refiner, which has one text encoder and reads an aesthetic score", async () => {
    const ugly = await draw({ ...PROMPT, aestheticScore: 1 }, refiner);
    expect(ugly).not.toEqual(await draw({ ...PROMPT, aestheticScore: 9 }, refiner));
    const copy = await mkdtemp(join(tmpdir(), "refiner "));
    await refiner.savePretrained(copy);
    const again = await StableDiffusionXLPipeline.fromPretrained(copy);
    expect(again.parts.forceZerosForEmptyPrompt).toBe(false);
    expect(await draw({ ...PROMPT, aestheticScore: 1 }, again)).toEqual(ugly);
    again.dispose();
    await rm(copy, { recursive: true });
  });

  it("teaches both text encoders a word, or neither if one of them cannot learn it", async () => {
    const own = await StableDiffusionXLPipeline.fromPretrained(folder);
    const size = own.parts.textEncoder2.config.vocab_size;
    const forOne = join(folder, "one.safetensors");
    await writeSafetensors(forOne, new Map([["clip_g", { dtype: "F32", shape: [12], data: new Float32Array(12) }]]));
    await expect(own.loadTextualInversion(forOne, "<toy>")).rejects.toThrow("expected one tensor [8] or [n, 8]");
    expect(own.parts.textEncoder2.config.vocab_size).toBe(size);
    await own.loadTextualInversion(join(FIXTURE, "adapters", "textual_inversion.safetensors"), "<toy>");
    const copy = join(folder, "taught");
    await own.savePretrained(copy);
    const again = await StableDiffusionXLPipeline.fromPretrained(copy);
    const prompt = "a <toy>";
    expect(await draw({ ...PROMPT, prompt }, again)).toEqual(await draw({ ...PROMPT, prompt }, own));
    own.dispose();
    again.dispose();
  });

  it("opens a single file that draws what its folder draws", async () => {
    const file = join(folder, "single.safetensors");
    await folderToSingleFile(folder, file);
    const single = await StableDiffusionXLPipeline.fromPretrained(file, { config: folder });
    expect(await draw(PROMPT, single)).toEqual(await draw(PROMPT));
    single.dispose();
    await expect(StableDiffusionPipeline.fromPretrained(file, { config: folder })).rejects.toThrow(
      "of the family sdxl",
    );
  });

  it("writes the index that diffusers writes, in a folder that draws the same", async () => {
    const copy = await mkdtemp(join(tmpdir(), "stable diffusion xl copy "));
    await pipeline.savePretrained(copy);
    const { _diffusers_version, ...expected } = JSON.parse(
      readFileSync(join(FIXTURE, "model_index.json"), "utf8"),
    ) as Record<string, unknown>;
    expect(JSON.parse(readFileSync(join(copy, "model_index.json"), "utf8"))).toEqual(expected);
    const again = await StableDiffusionXLPipeline.fromPretrained(copy);
    expect(await draw(PROMPT, again)).toEqual(await draw(PROMPT));
    again.dispose();
    await rm(copy, { recursive: true });
  });

  it("leaves no tensor behind: drawn, left early, failed", async () => {
    await draw(PROMPT);
    const before = tf.memory().numTensors;
    const image = tf.fill<tf.Rank.R3>([32, 32, 3], 0.5);
    for (const kind of [{}, { image }, { guidanceScale: 1 }, { negativePrompt: "blue", promptWeighting: true }]) {
      await draw({ ...PROMPT, ...kind });
      for await (const { index } of pipeline.steps({ ...PROMPT, ...kind })) if (index === 1) break;
      const failing = () => {
        throw new Error("mine");
      };
      await expect(draw({ ...PROMPT, ...kind, onStep: failing })).rejects.toThrow("mine");
    }
    image.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each<[string, StableDiffusionXLOptions, string]>([
    ["half a pixel", { originalSize: [1.5, 2] }, "originalSize: [1.5,2]; expected two whole numbers"],
    ["one negative size", { negativeTargetSize: [8, 8] }, "only one is given; give both or none"],
    ["second prompts that do not fit", { prompt: ["a", "b"], prompt2: ["a", "b", "c"] }, "prompt2: 3 for 2 prompts"],
    [
      "two second prompts for one prompt",
      { prompt2: ["a", "b"] },
      "prompt2: 2 for 1 prompts; expected one for all, or one",
    ],
    ["a second prompt that is not text", { negativePrompt2: [7 as never] }, "negativePrompt2: [7]; expected a string"],
    [
      "a second prompt with states",
      { prompt: undefined, promptEmbeds: tf.zeros([1, 77, 20]), prompt2: "a" },
      "prompt2: given with states",
    ],
    ["to continue without latents", { denoisingStart: 0.5 }, "denoisingStart: given without latents"],
    ["an end above 1", { denoisingEnd: 2 }, "denoisingEnd: 2; expected a number from 0 to 1"],
    ["a range without steps", { denoisingEnd: 0.01 }, "0 to 0.01 holds none of the 3 steps"],
  ])("refuses %s before any work", async (_, options, message) => {
    const before = tf.memory().numTensors;
    await expect(pipeline.generate({ ...PROMPT, ...options })).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("refuses at once text encoders that read numbers of tokens of their own", () => {
    const { parts } = pipeline;
    const shorter = new CLIPTokenizer({ ...parts.tokenizer!, maxLength: 70 });
    expect(() => (parts.tokenizer = shorter)).toThrow(PipelinePartsError);
    expect(() => (parts.tokenizer = shorter)).toThrow(
      /textEncoder read 70 tokens, tokenizer2 and textEncoder2 77; their/,
    );
  });

  it("and Stable Diffusion refuse each other's networks", async () => {
    const { unet, vae, scheduler, textEncoder, tokenizer } = pipeline.parts;
    const parts = { unet, vae, scheduler, textEncoder: textEncoder!, tokenizer: tokenizer! };
    expect(() => new StableDiffusionPipeline(parts)).toThrow("reads text states of width 20; the text encoder makes 8");
    await expect(StableDiffusionPipeline.fromPretrained(folder)).rejects.toThrow("does not use text_encoder_2");
  });
});
