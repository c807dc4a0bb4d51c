import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, keyedNoise, type Scheduler, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import type { AutoencoderKL } from "../../models/autoencoder/autoencoder-kl.js";
import type { CLIPTextModel } from "../../models/clip/clip-text-model.js";
import { Model } from "../../models/model.js";
import type { CLIPTokenizer } from "../../text/tokenizer.js";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath } from "../../testing/fixture.js";
import { derivedVae, writeTinyStableDiffusion, writeTinyStableDiffusionXL } from "../../testing/stable-diffusion.js";
import { tinyTextToImage } from "../../testing/tiny-text-to-image.js";
import { writeTinyUnCLIP } from "../../testing/unclip.js";
import { StableDiffusionDiffEditPipeline } from "../diff-edit/diff-edit.js";
import { PipelinePartsError } from "../options/errors.js";
import { PixelDiffusionPipeline } from "../pixels/pixel-diffusion.js";
import { StableDiffusionXLPipeline } from "../stable-diffusion/stable-diffusion-xl.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";
import { UnCLIPImageVariationPipeline } from "../unclip/unclip-image-variation.js";
import { UnCLIPPipeline } from "../unclip/unclip.js";

type Parts = Record<string, unknown>;

/** A pipeline of one kind, and a function that draws with fixed options. */
interface Drawing {
  pipeline: { parts: Parts; dispose(): void };
  draw(): Promise<number[]>;
}

let folder: string;
let edges: tf.Tensor3D;
beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "parts "));
  edges = tf.tidy(() =>
    tf
      .range(0, 16 * 16 * 3)
      .mod<tf.Tensor>(7)
      .div(7)
      .reshape([16, 16, 3]),
  );
});
afterAll(async () => {
  edges.dispose();
  await rm(folder, { recursive: true });
});

const SIZE = { width: 16, height: 16, numInferenceSteps: 2 };

async function numbers(drawn: Promise<{ images: tf.Tensor; latents: tf.Tensor }>): Promise<number[]> {
  const { images, latents } = await drawn;
  const values = [...images.dataSync()];
  tf.dispose([images, latents]);
  return values;
}

function stableDiffusion(parts: object): Drawing {
  const pipeline = new StableDiffusionPipeline(parts as never);
  // From a picture, so that the autoencoder encodes, decodes and makes the preview.
  const draw = async () => {
    const previews: number[] = [];
    const onStep = ({ preview }: { preview(): tf.Tensor4D }) => previews.push(...tf.tidy(() => preview().dataSync()));
    const drawn = await numbers(pipeline.generate({ prompt: "a hat", ...SIZE, image: edges, onStep }));
    return [...drawn, ...previews];
  };
  return { pipeline: pipeline as never, draw };
}

function xl(parts: object): Drawing {
  const pipeline = new StableDiffusionXLPipeline(parts as never);
  return { pipeline: pipeline as never, draw: () => numbers(pipeline.generate({ prompt: "a hat", ...SIZE })) };
}

function pixels(parts: object): Drawing {
  const pipeline = new PixelDiffusionPipeline(parts as never);
  const options = { prompt: "a hat", numInferenceSteps: 2 };
  return { pipeline: pipeline as never, draw: () => numbers(pipeline.generate(options)) };
}

const FEW = { decoderNumInferenceSteps: 2, superResNumInferenceSteps: 2 };

function unclip(parts: object): Drawing {
  const pipeline = new UnCLIPPipeline(parts as never);
  const options = { prompt: "a hat", priorNumInferenceSteps: 2, ...FEW };
  return { pipeline: pipeline as never, draw: () => numbers(pipeline.generate(options)) };
}

function variation(parts: object): Drawing {
  const pipeline = new UnCLIPImageVariationPipeline(parts as never);
  return { pipeline: pipeline as never, draw: () => numbers(pipeline.generate({ image: edges, ...FEW })) };
}

function diffEdit({ inverseScheduler, ...parts }: Parts): Drawing {
  const own = inverseScheduler && { inverseScheduler, scheduler: parts.scheduler };
  const edit = new StableDiffusionDiffEditPipeline(new StableDiffusionPipeline(parts as never), own as never);
  const steps = { numInferenceSteps: 4, strength: 0.5 };
  const draw = async () => {
    const [source, target] = [{ prompt: "a hat" }, { prompt: "a red hat" }];
    const mask = await edit.generateMask({ image: edges, source, target, numMapsPerMask: 1, numInferenceSteps: 4 });
    const imageLatents = await edit.invert({ image: edges, ...source, ...steps });
    const drawn = await numbers(edit.generate({ mask, imageLatents, ...target, ...steps }));
    const found = [...mask.dataSync()];
    tf.dispose([mask, imageLatents]);
    return [...drawn, ...found];
  };
  return { pipeline: edit as never, draw };
}

async function partsOf(kind: string): Promise<Parts> {
  const at = join(folder, kind);
  if (kind === "pixels") return { ...tinyTextToImage() };
  if (kind === "sd" || kind === "edit") await writeTinyStableDiffusion(at);
  if (kind === "xl") await writeTinyStableDiffusionXL(at);
  if (kind === "text" || kind === "variation") await writeTinyUnCLIP(at, kind);
  const Class = {
    sd: StableDiffusionPipeline,
    edit: StableDiffusionDiffEditPipeline,
    xl: StableDiffusionXLPipeline,
    text: UnCLIPPipeline,
    variation: UnCLIPImageVariationPipeline,
  }[kind]!;
  return { ...(await Class.fromPretrained(at)).parts };
}

/** A part of the same kind with other weights or other noise levels. */
function anotherLike(part: unknown): unknown {
  if (part instanceof Model) {
    const Class = part.constructor as new (config: object) => Model;
    const other = new Class(part.config);
    other.initialize(keyedNoise(7));
    return other;
  }
  const { config } = part as Scheduler;
  const { beta_end = 0.02 } = config as { beta_end?: number };
  return schedulerFromConfig({ ...config, beta_schedule: "linear", beta_end: beta_end / 2 });
}

const isExchanged = (part: unknown) => part instanceof Model || (typeof part === "object" && "plan" in part!);

describe.each<[string, (parts: Parts) => Drawing]>([
  ["sd", stableDiffusion],
  ["xl", xl],
  ["pixels", pixels],
  ["text", unclip],
  ["variation", variation],
  ["edit", diffEdit],
])("The parts of a pipeline (%s)", (kind, make) => {
  let parts: Parts;
  beforeAll(async () => {
    parts = await partsOf(kind);
  });
  afterAll(() => make(parts).pipeline.dispose());

  it("are plain properties, which can be listed and spread", () => {
    const { pipeline } = make(parts);
    for (const name of Object.keys(parts)) expect(Object.keys(pipeline.parts)).toContain(name);
    expect(Object.keys({ ...pipeline.parts }).sort()).toEqual(Object.keys(pipeline.parts).sort());
    for (const name of Object.keys(parts)) if (name !== "scheduler") expect(pipeline.parts[name]).toBe(parts[name]);
  });

  it("take effect at the next call, as in a new pipeline with the same parts", async () => {
    const { pipeline, draw } = make(parts);
    const before = await draw();
    const count = tf.memory().numTensors;
    for (const name of Object.keys(parts).filter((name) => isExchanged(parts[name]))) {
      const [old, other] = [pipeline.parts[name], anotherLike(parts[name])];
      pipeline.parts[name] = other;
      expect(pipeline.parts[name]).toBe(other);
      const drawn = await draw();
      expect({ [name]: drawn }).toEqual({ [name]: await make({ ...pipeline.parts }).draw() });
      expect({ [name]: drawn }).not.toEqual({ [name]: before });
      pipeline.parts[name] = old;
      if (other instanceof Model) other.dispose();
      expect(tf.memory().numTensors).toBe(count);
    }
    expect(await draw()).toEqual(before);
  });

  it("are refused at the assignment if they are of another kind, and the old part stays", () => {
    const { pipeline } = make(parts);
    const before = { ...pipeline.parts };
    for (const name of Object.keys(parts)) {
      for (const wrong of [undefined, null, "vae", {}, new Map()]) {
        if (wrong === undefined && name === "textEncoder2" && kind === "pixels") continue;
        if (wrong === undefined && name === "forceZerosForEmptyPrompt") continue;
        expect(() => (pipeline.parts[name] = wrong)).toThrow(PipelinePartsError);
      }
    }
    expect(() => (pipeline.parts.network = 1)).toThrow(/network is not one of its parts, which are .*, /);
    expect(() => delete pipeline.parts.scheduler).toThrow(PipelinePartsError);
    expect({ ...pipeline.parts }).toEqual(before);
  });

  it("cannot be exchanged as a whole", () => {
    const { pipeline } = make(parts);
    const before = pipeline.parts;
    for (const wrong of [{}, { ...before }, undefined])
      expect(() => (pipeline.parts = wrong as Parts)).toThrow(PipelinePartsError);
    expect(pipeline.parts).toBe(before);
  });

  it("are refused at once if the tokenizer has words that the text encoder does not know", () => {
    const { pipeline } = make(parts);
    const pairs = { tokenizer: "textEncoder", tokenizer2: "textEncoder2" };
    for (const [tokenizer, encoder] of Object.entries(pairs).filter(([name]) => name in parts)) {
      const known = pipeline.parts[tokenizer] as CLIPTokenizer;
      const { vocab_size } = (pipeline.parts[encoder] as CLIPTextModel).config;
      pipeline.parts[tokenizer] = known.withToken("<last>", [vocab_size - 1]);
      const message = `${tokenizer} gives ids up to ${vocab_size}; ${encoder} knows those below ${vocab_size}.`;
      expect(() => (pipeline.parts[tokenizer] = known.withToken("<beyond>", [vocab_size]))).toThrow(message);
      pipeline.parts[tokenizer] = known;
    }
  });

  it("refuse a sampler that cannot draw from noise, as the option does", () => {
    const { pipeline } = make(parts);
    const inverse = schedulerFromConfig({ _class_name: "DDIMInverseScheduler" });
    for (const name of Object.keys(parts).filter((name) => /scheduler/i.test(name) && name !== "inverseScheduler"))
      expect(() => (pipeline.parts[name] = inverse)).toThrow(/DDIMInverseScheduler goes from pictures to noise; use/);
  });
});

describe("A part", () => {
  let pipeline: StableDiffusionPipeline;
  beforeAll(async () => {
    await writeTinyStableDiffusion(join(folder, "one"));
    pipeline = await StableDiffusionPipeline.fromPretrained(join(folder, "one"));
  });
  afterAll(() => pipeline.dispose());

  it("that does not fit the others is refused at the assignment, and nothing is changed", async () => {
    const { parts } = pipeline;
    const before = { ...parts };
    const vae = derivedVae(parts.vae as AutoencoderKL, {});
    const fewer = Object.assign(vae, { config: { ...vae.config, latent_channels: 3 } });
    expect(() => (parts.vae = fewer)).toThrow(
      /the denoiser \(unet\) takes 4 channels; expected 3, as the autoencoder's latents have/,
    );
    const narrow = { ...sizesOf(parts.unet), contextWidth: 8, forward: (x: tf.Tensor4D) => x.clone() };
    expect(() => (parts.unet = narrow)).toThrow(/reads text states of width 8; the text encoder makes/);
    expect(() => Object.assign(parts, { scheduler: new DDIMScheduler(), unet: narrow })).toThrow(PipelinePartsError);
    expect({ ...parts, scheduler: before.scheduler }).toEqual(before);
    parts.scheduler = before.scheduler;
    vae.dispose();
  });

  it("that is replaced while a picture is drawn has no effect on that picture", async () => {
    const { parts } = pipeline;
    const { vae, unet, scheduler } = parts;
    const options = { prompt: "a hat", ...SIZE };
    const before = await numbers(pipeline.generate(options));
    const others = { vae: derivedVae(vae as AutoencoderKL, { scaling_factor: 1 }), scheduler: new DDIMScheduler() };
    const other = {
      ...sizesOf(unet),
      contextWidth: unet.contextWidth,
      forward: (x: tf.Tensor4D) => x.mul<tf.Tensor4D>(0.5),
    };
    const onStep = () => void Object.assign(parts, { ...others, unet: other });
    expect(await numbers(pipeline.generate({ ...options, onStep }))).toEqual(before);
    expect(await numbers(pipeline.generate(options))).not.toEqual(before);
    Object.assign(parts, { vae, unet, scheduler });
    expect(await numbers(pipeline.generate(options))).toEqual(before);
    others.vae.dispose();
  });

  it("gets the LoRAs that are loaded after its assignment; those in the old network stay there", async () => {
    const { parts, loras } = pipeline;
    const old = parts.unet as Model & typeof parts.unet;
    const other = anotherLike(old) as typeof old;
    const weights = (model: Model) => [...model.parameters().values()].map((value) => [...value.dataSync()]);
    const [oldWeights, otherWeights] = [weights(old), weights(other)];
    const lora = fixturePath("lora/peft/pytorch_lora_weights.safetensors");
    const count = tf.memory().numTensors;

    await loras.load(lora);
    const oldChanged = weights(old);
    expect(oldChanged).not.toEqual(oldWeights);
    parts.unet = other;
    expect(loras.scales).toEqual({});
    await loras.load(lora, { scale: 0.5 });
    expect(loras.scales).toEqual({ default: 0.5 });
    expect(weights(other)).not.toEqual(otherWeights);
    expect(weights(old)).toEqual(oldChanged);
    loras.unload();
    expect(weights(other)).toEqual(otherWeights);
    expect(() => loras.setScale("default", 2)).toThrow(/There is no LoRA "default" in these networks; there is: none/);

    parts.unet = old;
    expect(loras.scales).toEqual({ default: 1 });
    expect(weights(old)).toEqual(oldChanged);
    loras.unload("default");
    expect(weights(old)).toEqual(oldWeights);
    expect(tf.memory().numTensors).toBe(count);
    other.dispose();
  });
});

function sizesOf({ inChannels, outChannels, sampleSize }: StableDiffusionPipeline["parts"]["unet"]) {
  return { inChannels, outChannels, sampleSize };
}
