import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  DDIMInverseScheduler,
  DDIMScheduler,
  replayNoise,
  schedulerFromConfig,
  UnCLIPScheduler,
} from "@tfjs-diffusion/schedulers";
import { CLIPVisionModelWithProjection } from "../../models/clip/clip-vision-model.js";
import { PriorTransformer } from "../../models/clip/prior-transformer.js";
import { UNet2DModel } from "../../models/unet/unet-2d.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, fixturePath, Golden, relativeRms } from "../../testing/fixture.js";
import { writeTinyUnCLIP } from "../../testing/unclip.js";
import { PipelineOptionError, PipelinePartsError } from "../options/errors.js";
import { UnCLIPImageVariationPipeline } from "./unclip-image-variation.js";
import type { UnCLIPStep } from "./unclip-options.js";
import { UnCLIPPipeline } from "./unclip.js";

/** Ten times the fixture's largest noise floor, float32 against float64 in PyTorch: 3.5e-6. */
const TOLERANCE = 3e-5;
const STAGES = { prior: "prior", decoder: "decoder", superResolution: "super_res" };

let folder: string;
let text: UnCLIPPipeline;
let variation: UnCLIPImageVariationPipeline;
let calls: Record<string, Record<string, number | string | string[]>>;

beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "unclip "));
  await writeTinyUnCLIP(join(folder, "text"), "text");
  await writeTinyUnCLIP(join(folder, "variation"), "variation");
  text = await UnCLIPPipeline.fromPretrained(join(folder, "text"));
  variation = await UnCLIPImageVariationPipeline.fromPretrained(join(folder, "variation"));
  const meta = JSON.parse(await readFile(fixturePath("tiny-unclip/meta.json"), "utf8")) as { runs: typeof calls };
  calls = meta.runs;
});
afterAll(async () => {
  text.dispose();
  variation.dispose();
  await rm(folder, { recursive: true });
});

/** Renames diffusers' options to ours. */
function named(call: Record<string, unknown>): object {
  const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const entries = Object.entries(call).map(([key, value]) => [camel(key), value] as const);
  return Object.fromEntries(entries.map(([key, value]) => [key === "numImagesPerPrompt" ? "numImages" : key, value]));
}

/** The input tensors of a run, by our names. */
function givenTo(golden: Golden): Record<string, unknown> {
  const names = golden.names("in.").map((name) => name.slice(3));
  const given: Record<string, tf.Tensor> = Object.fromEntries(names.map((name) => [name, golden.tensor(`in.${name}`)]));
  if (golden.has("in.text_embeds")) {
    const { text_embeds: textEmbeds, hidden_states: hiddenStates, attention_mask: attentionMask } = given;
    return { textStates: { textEmbeds, hiddenStates, attentionMask } };
  }
  if (golden.has("in.photo")) return { image: given["photo"] };
  if (golden.has("in.pixels"))
    return { imageEmbeddings: variation.parts.imageEncoder.forward(golden.tensor("in.pixels")).imageEmbeds };
  return named(given) as Record<string, unknown>;
}

/** The largest difference from diffusers, for each step and the picture. */
async function errorsOf(run: string): Promise<Map<string, number>> {
  const golden = await Golden.read("tiny-unclip", `${run}.safetensors`);
  const noise = replayNoise(golden.names("noise.").map((name) => golden.tensor(name)));
  const errors = new Map<string, number>();
  const seen = { prior: 0, decoder: 0, superResolution: 0 };
  const onStep = ({ stage, latents }: UnCLIPStep) => {
    const name = `out.${STAGES[stage]}.latents${seen[stage]++}`;
    errors.set(name, golden.error(name, latents));
  };
  const options = { ...named(calls[run]!), ...givenTo(golden), noise, onStep };
  const { images } = await (run.startsWith("variation") ? variation.generate(options) : text.generate(options));
  errors.set("out.image", golden.error("out.image", images));
  expect([...errors.keys()].sort()).toEqual(golden.names("out.").sort());
  return errors;
}

const RUNS = [
  "text",
  "text_batch",
  "text_unguided",
  "text_half_guided",
  "text_every_step",
  "text_states",
  "variation",
  "variation_photo",
  "variation_embeddings",
];

describe("unCLIP", () => {
  it.each(RUNS)("agrees with diffusers 0.42.1 at every step and in the picture: %s", async (run) => {
    expect(above(TOLERANCE, await errorsOf(run))).toEqual([]);
  });

  it("preprocesses pictures for CLIP as transformers does", async () => {
    const golden = await Golden.read("tiny-unclip", "variation_photo.safetensors");
    const seen = variation.parts.featureExtractor.forward(golden.tensor("in.photo"));
    expect(relativeRms(seen, golden.tensor("in.seen"))).toBeLessThan(1e-6);
  });

  it("counts its steps over all stages, with a preview at each", async () => {
    const options = { priorNumInferenceSteps: 2, decoderNumInferenceSteps: 3, superResNumInferenceSteps: 2 };
    const told: unknown[] = [];
    for await (const { stage, index, total, step, steps, timestep, preview } of text.steps({
      prompt: "a cube",
      ...options,
    })) {
      expect([step, steps]).toEqual([index, total]); // Its sampler makes one call a step.
      const shown = preview();
      told.push([stage, index, total, timestep, shown.shape[1]]);
      const [least, most] = [shown.min().dataSync()[0]!, shown.max().dataSync()[0]!];
      expect(least).toBeGreaterThanOrEqual(0);
      expect(most).toBeLessThanOrEqual(1);
    }
    expect(told).toEqual([
      ["prior", 0, 7, 999, 1],
      ["prior", 1, 7, 0, 1],
      ["decoder", 2, 7, 999, 8],
      ["decoder", 3, 7, 500, 8],
      ["decoder", 4, 7, 0, 8],
      ["superResolution", 5, 7, 999, 16],
      ["superResolution", 6, 7, 0, 16],
    ]);
  });

  it("draws the same pictures for the same seed (also 0), and others for another seed", async () => {
    const few = { priorNumInferenceSteps: 2, decoderNumInferenceSteps: 2, superResNumInferenceSteps: 2 };
    const draw = async (seed?: number) => (await text.generate({ prompt: "a cube", ...few, seed })).images;
    const first = await draw();
    expect(relativeRms(await draw(0), first)).toBe(0);
    expect(relativeRms(await draw(1), first)).toBeGreaterThan(0.01);
  });

  it("draws with a sampler that has no use for the learned variance, on the decoder's own schedule", async () => {
    const few = { prompt: "a cube", numInferenceSteps: 4, priorNumInferenceSteps: 2, superResNumInferenceSteps: 2 };
    const draw = async (_class_name: string, variance_type: string) => {
      const config = { ...text.scheduler.config, _class_name, variance_type };
      return (await text.generate({ ...few, scheduler: schedulerFromConfig(config) })).images;
    };
    const drawn = await draw("DDIMScheduler", "learned_range");
    expect(relativeRms(await draw("DDIMScheduler", "fixed_small"), drawn)).toBe(0);
    expect(relativeRms(await draw("UnCLIPScheduler", "learned_range"), drawn)).toBeGreaterThan(0.01);
  });

  it("draws the same from the folder it saved, and saves with diffusers' names", async () => {
    const few = { decoderNumInferenceSteps: 2, superResNumInferenceSteps: 2 };
    const image = tf.randomUniform<tf.Rank.R3>([20, 31, 3], 0, 1, "float32", 5);
    for (const [name, pipeline, options] of [
      ["text", text, { prompt: "a cube", priorNumInferenceSteps: 2, ...few }],
      ["variation", variation, { image, ...few }],
    ] as const) {
      const saved = join(folder, `saved ${name}`);
      await pipeline.savePretrained(saved);
      expect((await readdir(saved)).sort()).toEqual((await readdir(join(folder, name))).sort());
      const index = async (of: string) => JSON.parse(await readFile(join(of, "model_index.json"), "utf8")) as object;
      const { feature_extractor, ...parts } = { feature_extractor: null, ...(await index(join(folder, name))) };
      expect(await index(saved)).toMatchObject(parts);
      const Class = pipeline.constructor as typeof UnCLIPPipeline;
      const opened = await Class.fromPretrained(saved);
      const draw = (from: typeof pipeline) => from.generate(options);
      expect(relativeRms((await draw(opened)).images, (await draw(pipeline)).images)).toBe(0);
      opened.dispose();
      expect(feature_extractor === null).toBe(name === "text");
    }
  });

  it("refuses what it cannot do, before any work", async () => {
    const image = tf.zeros<tf.Rank.R3>([8, 8, 3]);
    const wrong: [Promise<unknown>, RegExp][] = [
      [text.generate({}), /^prompt, promptEmbeds: neither is given/],
      [text.generate({ prompt: [] }), /^prompt: an empty list/],
      [text.generate({ prompt: "a", textStates: text.textStates(["a"]) }), /both are given/],
      [text.generate({ prompt: "a", numImages: 0 }), /^numImages: 0; expected a whole number, 1 or more/],
      [text.generate({ prompt: "a", priorNumInferenceSteps: 1.5 }), /^priorNumInferenceSteps: 1.5/],
      [text.generate({ prompt: "a", superResNumInferenceSteps: 0 }), /^superResNumInferenceSteps: 0/],
      [text.generate({ prompt: "a", decoderGuidanceScale: NaN }), /^decoderGuidanceScale: NaN/],
      [
        text.generate({ prompt: "a", priorLatents: tf.zeros([1, 12], "int32") }),
        /^priorLatents: int32; expected float32/,
      ],
      [text.generate({ prompt: "a", priorLatents: tf.zeros([2, 12]) }), /^priorLatents: \[2, 12\]; expected \[1, 12\]/],
      [
        text.generate({ prompt: "a", decoderLatents: tf.zeros([1, 16, 16, 3]) }),
        /^decoderLatents: .* expected \[1, 8, 8, 3\]/,
      ],
      [
        text.generate({ textStates: { ...text.textStates(["a"]), attentionMask: tf.ones([1, 5]) } }),
        /^textStates.attentionMask: \[1, 5\]; expected \[1, 77\]/,
      ],
      [
        text.generate({ prompt: "a", decoderNumInferenceSteps: 2, timesteps: [2, 1] }),
        /^decoderNumInferenceSteps, timesteps: 2 are given/,
      ],
      [variation.generate({}), /^image, imageEmbeddings: neither is given/],
      [variation.generate({ image, imageEmbeddings: tf.zeros([1, 12]) }), /both are given/],
      [variation.generate({ image: tf.zeros<tf.Rank.R3>([8, 8, 4]) }), /^image: \[8, 8, 4\]; expected \[H, W, 3\]/],
      [
        variation.generate({ imageEmbeddings: tf.zeros([1, 13]) }),
        /^imageEmbeddings: \[1, 13\]; expected \[rows, 12\]/,
      ],
    ];
    const count = tf.memory().numTensors;
    for (const [drawing, message] of wrong) {
      const error = (await drawing.catch((error: unknown) => error)) as Error;
      expect(error).toBeInstanceOf(PipelineOptionError);
      expect(error.message).toMatch(message);
    }
    await expect(text.generate({ prompt: "a", decoderNumInferenceSteps: 1001 })).rejects.toThrow(RangeError);
    expect(tf.memory().numTensors).toBe(count);
  });

  it("draws with any sampler for the decoder, given as an option or as a part, and saves it", async () => {
    const few = { prompt: "a", priorNumInferenceSteps: 2, numInferenceSteps: 2, superResNumInferenceSteps: 2 };
    const numbers = async (pipeline: UnCLIPPipeline, options = {}) => {
      const { images, latents } = await pipeline.generate({ ...few, ...options });
      const values = [...images.dataSync()];
      tf.dispose([images, latents]);
      return values;
    };
    const own = text.parts.decoderScheduler;
    for (const scheduler of [new DDIMScheduler(), new UnCLIPScheduler({ variance_type: "fixed_small_log" })]) {
      const asOption = await numbers(text, { scheduler });
      expect(asOption).not.toEqual(await numbers(text));
      text.parts.decoderScheduler = scheduler;
      expect(await numbers(text)).toEqual(asOption);
      await text.savePretrained(join(folder, "with own"));
      text.parts.decoderScheduler = own;
      const opened = await UnCLIPPipeline.fromPretrained(join(folder, "with own"));
      expect(await numbers(opened)).toEqual(asOption);
      opened.dispose();
    }
    const inverse = new DDIMInverseScheduler();
    await expect(text.generate({ ...few, scheduler: inverse })).rejects.toThrow("goes from pictures to noise");
    for (const name of ["priorScheduler", "decoderScheduler", "superResScheduler"] as const)
      expect(() => (text.parts[name] = inverse)).toThrow(/Scheduler: DDIMInverseScheduler goes from pictures to noise/);
  });

  it("refuses parts that do not fit each other, and says which", () => {
    const { parts } = text;
    const swapped = { ...parts, superResScheduler: parts.decoderScheduler };
    expect(() => new UnCLIPPipeline(swapped)).toThrow(PipelinePartsError);
    expect(() => new UnCLIPPipeline(swapped)).toThrow(
      /superResScheduler: UnCLIPScheduler with variance_type learned_range needs a network that predicts it/,
    );
    const { config } = parts.superResFirst as UNet2DModel;
    const enlarging = { ...parts, superResFirst: new UNet2DModel({ ...config, in_channels: 3 }) };
    expect(() => new UnCLIPPipeline(enlarging)).toThrow(/super_res_first's inChannels.*: 3; expected 6/);
    const prior = new PriorTransformer({ ...parts.prior.config, embedding_dim: 16 });
    expect(() => new UnCLIPPipeline({ ...parts, prior })).toThrow("the prior's embedding_dim");
    const imageEncoder = new CLIPVisionModelWithProjection({ ...variation.parts.imageEncoder.config, image_size: 35 });
    expect(() => new UnCLIPImageVariationPipeline({ ...variation.parts, imageEncoder })).toThrow("image_size");
  });
});
