import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { useBackend } from "../../backend/use-backend.js";
import { tinyTextToImage } from "../../testing/tiny-text-to-image.js";
import { PipelineFolderError, PipelineOptionError, PipelinePartsError } from "../options/errors.js";
import { keepPixelRange } from "./pixel-range.js";
import { PixelDiffusionPipeline } from "./pixel-diffusion.js";
import type { PixelDiffusionOptions } from "./pixel-diffusion-options.js";

/** float32's relative error of 6e-8, through about forty layers and a few steps, on values about 1. */
const ROUNDING = 2e-5;

let pipeline: PixelDiffusionPipeline;
let folder: string;

beforeAll(async () => {
  await useBackend("wasm");
  pipeline = new PixelDiffusionPipeline(tinyTextToImage());
  folder = await mkdtemp(join(tmpdir(), "text-to-image "));
});
afterAll(async () => {
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

const FEW = { numInferenceSteps: 3 };

/** Draws, and returns the pictures as numbers. */
async function draw(
  options: PixelDiffusionOptions,
  by = pipeline,
): Promise<{ shape: number[]; images: number[]; latents: number[] }> {
  const { images, latents } = await by.generate({ ...FEW, ...options });
  const result = { shape: images.shape, images: [...images.dataSync()], latents: [...latents.dataSync()] };
  tf.dispose([images, latents]);
  return result;
}

function distance(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

describe("Text to image", () => {
  it("draws pictures in [0, 1], several for each prompt, from latents about [-1, 1]", async () => {
    const { shape, images, latents } = await draw({ prompt: ["a hat", "a beard"], numImages: 3 });
    expect(shape).toEqual([6, 8, 8, 3]);
    expect(Math.min(...images)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...images)).toBeLessThanOrEqual(1);
    const clipped = latents.map((value) => Math.min(1, Math.max(0, (value + 1) / 2)));
    expect(distance(images, clipped)).toBeLessThan(1e-6);
  });

  it("draws the same pictures for the same seed (also 0), and others for another seed", async () => {
    const [first, again, other] = [
      await draw({ prompt: "a hat", seed: 0 }),
      await draw({ prompt: "a hat" }),
      await draw({ prompt: "a hat", seed: 1 }),
    ];
    expect(again).toEqual(first);
    expect(distance(first.latents, other.latents)).toBeGreaterThan(0.1);
  });

  it("draws other pictures for other prompts, through the token states and through the sentence vector", async () => {
    const plain = new PixelDiffusionPipeline(tinyTextToImage({ sentence: false }));
    for (const each of [pipeline, plain]) {
      const [hat, beard] = [await draw({ prompt: "hat" }, each), await draw({ prompt: "beard" }, each)];
      expect(distance(hat.latents, beard.latents)).toBeGreaterThan(1e-3);
    }
    plain.dispose();
    const without = await draw({ prompt: "hat" });
    const projection = pipeline.parts.textEncoder2!.parameters().get("text_projection.weight")!;
    const kept = projection.clone();
    tf.tidy(() => projection.assign(projection.neg()));
    expect(distance((await draw({ prompt: "hat" })).latents, without.latents)).toBeGreaterThan(1e-3);
    projection.assign(kept);
    kept.dispose();
  });

  it("draws each picture of a batch as it would alone, in the order of the prompts", async () => {
    const latents = keyedNoise(5).normal([4, 8, 8, 3]) as tf.Tensor4D;
    const options = { negativePrompt: ["no", "nothing"], guidanceScale: 4 };
    const batch = await draw({ ...options, prompt: ["a hat", "a beard"], numImages: 2, latents });
    const size = batch.latents.length / 4;
    for (const i of [0, 1, 2, 3]) {
      const row = tf.tidy(() => latents.slice([i], [1]));
      const prompt = i < 2 ? "a hat" : "a beard";
      const alone = await draw({ prompt, negativePrompt: i < 2 ? "no" : "nothing", guidanceScale: 4, latents: row });
      expect(distance(alone.latents, batch.latents.slice(i * size, (i + 1) * size))).toBeLessThan(ROUNDING);
      row.dispose();
    }
    expect(latents.isDisposed).toBe(false);
    latents.dispose();
  });

  it("takes one step exactly as written out: two predictions, guidance, clipping, the scheduler's step", async () => {
    const { unet, textEncoder, textEncoder2, tokenizer, scheduler } = pipeline.parts;
    const noise = keyedNoise(3).normal([1, 8, 8, 3]) as tf.Tensor4D;
    const plan = scheduler.plan(1);
    const want = tf.tidy(() => {
      const predict = (prompt: string) => {
        const ids = tf.tensor2d([tokenizer.encode(prompt, { maxLength: 12 })], [1, 12], "int32");
        const context = textEncoder.forward(ids).lastHiddenState;
        return unet.forward(noise, plan.timesteps[0]!, context, { classLabels: textEncoder2!.forward(ids).textEmbeds });
      };
      const [yes, no] = [predict("a hat"), predict("beard")];
      const guided = keepPixelRange(no.add<tf.Tensor4D>(yes.sub(no).mul(2.5)), noise, plan.timesteps[0]!, scheduler);
      return plan.step(plan.start(noise), guided, 0, keyedNoise(0)).x;
    });
    const got = await draw({
      prompt: "a hat",
      negativePrompt: "beard",
      guidanceScale: 2.5,
      numInferenceSteps: 1,
      latents: noise,
    });
    expect(distance(got.latents, [...want.dataSync()])).toBeLessThan(ROUNDING);
    tf.dispose([noise, want]);
  });

  it("is guided away from the empty prompt by default", async () => {
    const [given, none] = [await draw({ prompt: "hat", negativePrompt: "" }), await draw({ prompt: "hat" })];
    expect(given).toEqual(none);
    expect(distance((await draw({ prompt: "hat", negativePrompt: "beard" })).latents, none.latents)).toBeGreaterThan(
      1e-3,
    );
  });

  it("with a negative prompt equal to the prompt, or a scale of 1, is not guided at all", async () => {
    const unguided = await draw({ prompt: "hat", guidanceScale: 1 });
    const cancelled = await draw({ prompt: "hat", negativePrompt: "hat", guidanceScale: 9 });
    expect(distance(cancelled.latents, unguided.latents)).toBeLessThan(ROUNDING);
    expect(await draw({ prompt: "hat", guidanceScale: 0.5 })).toEqual(unguided);
  });

  it("samples with the scheduler and the noise it is given", async () => {
    const scheduler = schedulerFromConfig({ ...pipeline.parts.scheduler.config, _class_name: "DDPMScheduler" });
    const ancestral = await draw({ prompt: "hat", scheduler });
    expect(distance(ancestral.latents, (await draw({ prompt: "hat" })).latents)).toBeGreaterThan(1e-2);
    expect(await draw({ prompt: "hat", scheduler, noise: keyedNoise(0) })).toEqual(ancestral);
  });

  it("shows every step, and a preview in [0, 1] that belongs to the caller", async () => {
    const steps: number[] = [];
    for await (const { index, total, timestep, latents, preview } of pipeline.steps({ prompt: "hat", ...FEW })) {
      expect([total, latents.shape]).toEqual([3, [1, 8, 8, 3]]);
      expect(timestep).toBe(pipeline.parts.scheduler.plan(3).timesteps[index]);
      const picture = preview();
      expect(picture.min().dataSync()[0]).toBeGreaterThanOrEqual(0);
      expect(picture.max().dataSync()[0]).toBeLessThanOrEqual(1);
      steps.push(index);
    }
    expect(steps).toEqual([0, 1, 2]);
  });
});

describe("The tensors of text to image", () => {
  const options = { prompt: "hat", ...FEW };
  async function left(work: () => Promise<unknown>): Promise<number> {
    await draw(options); // The backend keeps tensors from its first use, which are not counted.
    const before = tf.memory().numTensors;
    await work();
    return tf.memory().numTensors - before;
  }

  it("are two after generate: the images and the latents", async () => {
    const made: tf.Tensor[] = [];
    expect(await left(async () => made.push(...Object.values(await pipeline.generate(options))))).toBe(2);
    tf.dispose(made);
  });

  it("are freed when the steps are left early", async () => {
    expect(
      await left(async () => {
        for await (const _ of pipeline.steps(options)) break;
      }),
    ).toBe(0);
  });

  it("are freed when onStep throws, also after the last step", async () => {
    for (const last of [0, 2]) {
      const throwing = () =>
        pipeline.generate({
          ...options,
          onStep: ({ index }) => {
            if (index === last) throw new Error("mine");
          },
        });
      expect(await left(() => expect(throwing()).rejects.toThrow("mine"))).toBe(0);
    }
  });

  it("are freed when it is aborted, which throws the signal's reason", async () => {
    const abort = new AbortController();
    const aborted = () =>
      pipeline.generate({ ...options, signal: abort.signal, onStep: () => abort.abort(new Error("enough")) });
    expect(await left(() => expect(aborted()).rejects.toThrow("enough"))).toBe(0);
    expect(await left(() => expect(aborted()).rejects.toThrow("enough"))).toBe(0); // Aborted before the start.
  });
});

describe("Options of text to image", () => {
  const latents = (...shape: [number, number, number, number]) => tf.zeros<tf.Rank.R4>(shape);
  it.each<[string, () => Partial<PixelDiffusionOptions>, RegExp]>([
    ["no prompt", () => ({ prompt: [] }), /prompt: an empty list/],
    ["a prompt that is not text", () => ({ prompt: 7 as never }), /prompt: 7; expected a string/],
    ["a missing prompt", () => ({ prompt: undefined }), /prompt: undefined/],
    [
      "two negatives for three prompts",
      () => ({ prompt: ["a", "b", "c"], negativePrompt: ["x", "y"] }),
      /2 for 3 prompts/,
    ],
    ["no steps", () => ({ numInferenceSteps: 0 }), /numInferenceSteps: 0; expected a whole number, 1 or more/],
    ["half a step", () => ({ numInferenceSteps: 2.5 }), /numInferenceSteps: 2.5/],
    ["no images", () => ({ numImages: 0 }), /numImages: 0/],
    ["a negative seed", () => ({ seed: -1 }), /seed: -1/],
    ["a scale that is not a number", () => ({ guidanceScale: NaN }), /guidanceScale: NaN/],
    ["a rescaling above 1", () => ({ guidanceRescale: 1.1 }), /guidanceRescale: 1.1/],
    [
      "latents of another batch",
      () => ({ latents: latents(2, 8, 8, 3) }),
      /latents: \[2, 8, 8, 3\]; expected \[1, height, width, 3\]/,
    ],
    ["latents of other channels", () => ({ latents: latents(1, 8, 8, 4) }), /latents/],
  ])("refuse %s before any work, saying what was expected", async (_, options, message) => {
    const asked = { prompt: "hat", ...options() };
    const before = tf.memory().numTensors;
    await expect(pipeline.generate(asked)).rejects.toThrow(PipelineOptionError);
    await expect(pipeline.generate(asked)).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(asked.latents ?? []);
  });
});

describe("The folder of a text-to-image pipeline", () => {
  it.each([true, false])(
    "is written and read back to draw the same (with a second text encoder: %s)",
    async (sentence) => {
      const saved = new PixelDiffusionPipeline(tinyTextToImage({ sentence }));
      const place = join(folder, String(sentence));
      await saved.savePretrained(place);
      const want = await draw({ prompt: "a hat" }, saved);
      const { config } = saved.scheduler;
      saved.dispose();
      const before = tf.memory().numTensors;
      const opened = await PixelDiffusionPipeline.fromPretrained(place);
      expect(await draw({ prompt: "a hat" }, opened)).toEqual(want);
      expect(opened.parts.scheduler.config).toEqual(config);
      opened.dispose();
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  async function indexed(name: string, change: (index: Record<string, unknown>) => void): Promise<string> {
    const place = join(folder, name);
    await mkdir(place);
    const index = JSON.parse(await readFile(join(folder, "true", "model_index.json"), "utf8")) as Record<
      string,
      unknown
    >;
    change(index);
    await writeFile(join(place, "model_index.json"), JSON.stringify(index));
    return place;
  }

  it.each<[string, (index: Record<string, unknown>) => void, RegExp]>([
    ["lacks a part", (index) => delete index.unet, /unet is missing.*needs a UNet2DConditionModel/],
    ["has a part switched off", (index) => (index.tokenizer = [null, null]), /tokenizer is missing/],
    [
      "has a part of another class",
      (index) => (index.unet = ["diffusers", "UNet2DModel"]),
      /unet is a UNet2DModel.*needs a UNet2DConditionModel/,
    ],
    [
      "has an additional part",
      (index) => (index.vae = ["diffusers", "AutoencoderKL"]),
      /does not use vae \(AutoencoderKL\)/,
    ],
  ])("is refused when it %s", async (problem, change, message) => {
    const place = await indexed(problem, change);
    await expect(PixelDiffusionPipeline.fromPretrained(place)).rejects.toThrow(PipelineFolderError);
    await expect(PixelDiffusionPipeline.fromPretrained(place)).rejects.toThrow(message);
  });

  it("is refused when there is no index, or when it is not an object", async () => {
    await expect(PixelDiffusionPipeline.fromPretrained(join(folder, "nowhere"))).rejects.toThrow(PipelineFolderError);
    const place = await indexed("a list", () => {});
    for (const text of ["[]", "null", "{", ""]) {
      await writeFile(join(place, "model_index.json"), text);
      await expect(PixelDiffusionPipeline.fromPretrained(place)).rejects.toThrow(PipelineFolderError);
    }
  });

  it("leaves no weights behind when a part after the first cannot be read", async () => {
    const place = join(folder, "broken");
    const parts = tinyTextToImage();
    const whole = new PixelDiffusionPipeline(parts);
    await whole.savePretrained(place);
    whole.dispose();
    await writeFile(join(place, "unet", "config.json"), "{");
    const before = tf.memory().numTensors;
    await expect(PixelDiffusionPipeline.fromPretrained(place)).rejects.toThrow();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("The parts of a text-to-image pipeline", () => {
  it("must fit each other: a UNet that takes a sentence vector needs the second text encoder, and others refuse it", () => {
    const [vector, plain] = [tinyTextToImage(), tinyTextToImage({ sentence: false })];
    expect(() => new PixelDiffusionPipeline({ ...vector, textEncoder2: undefined })).toThrow(PipelinePartsError);
    expect(() => new PixelDiffusionPipeline({ ...plain, textEncoder2: vector.textEncoder2 })).toThrow(
      /leave textEncoder2 out/,
    );
    for (const parts of [vector, plain])
      for (const part of Object.values(parts) as ({ dispose?(): void } | undefined)[]) part?.dispose?.();
  });
});
