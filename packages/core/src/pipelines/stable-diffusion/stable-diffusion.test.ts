import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { replayNoise, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { loadModel } from "../../models/load-model.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { traceLayers } from "../../nn/layer-trace.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, fixturePath, Golden, loadFixture } from "../../testing/fixture.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { PipelineOptionError } from "../options/errors.js";
import { outpaintCanvas } from "./inpainting.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";
import type { StableDiffusionOptions } from "./stable-diffusion-options.js";

const RUNS = fixturePath("tiny-stable-diffusion-runs");
const names = readdirSync(RUNS)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.replace(".json", ""));

/** The settings of one of the fixtures' runs of diffusers. */
interface Run {
  unet: string;
  scheduler: Record<string, unknown>;
  call: Record<string, unknown>;
  callback_timesteps: number[];
  noise_floor_relrms_f32_vs_f64: { out: number };
}

let folder: string;
let pipeline: StableDiffusionPipeline;
let inpainting: StableDiffusionPipeline;
let distilled: StableDiffusionPipeline;

beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "stable diffusion "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
  const unet = (await loadModel(fixturePath("tiny-sd-unet-inpaint9"))) as UNet2DConditionModel;
  inpainting = new StableDiffusionPipeline({ ...pipeline.parts, unet });
  distilled = new StableDiffusionPipeline({
    ...pipeline.parts,
    unet: await loadFixture<UNet2DConditionModel>("unet_lcm"),
  });
});
afterAll(async () => {
  for (const { parts } of [inpainting, distilled]) (parts.unet as UNet2DConditionModel).dispose();
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

/** Our options for the settings of a run. */
function optionsOf({ call, scheduler }: Run, golden: Golden): StableDiffusionOptions {
  const given = <T extends tf.Tensor>(name: string) => (golden.has(name) ? golden.tensor<T>(name) : undefined);
  return {
    prompt: call.prompt as string | string[],
    negativePrompt: call.negative_prompt as string | string[],
    numInferenceSteps: call.num_inference_steps as number,
    guidanceScale: call.guidance_scale as number,
    guidanceRescale: call.guidance_rescale as number | undefined,
    eta: call.eta as number | undefined,
    clipSkip: call.clip_skip as number | undefined,
    strength: call.strength as number | undefined,
    width: call.width as number | undefined,
    height: call.height as number | undefined,
    scheduler: schedulerFromConfig(scheduler),
    latents: given("in.latents"),
    image: given("in.image"),
    mask: given("in.mask_image"),
    noise: replayNoise(golden.names("noise.").map((name) => golden.tensor(name))),
  };
}

describe("Stable Diffusion draws what diffusers draws", () => {
  it.each(names)("%s: at every step, and at the end", async (name) => {
    const json = readFileSync(join(RUNS, `${name}.json`), "utf8").replaceAll("-Infinity", "null");
    const run = JSON.parse(json) as Run;
    const golden = await Golden.read("tiny-stable-diffusion-runs", `${name}.safetensors`);
    const errors = new Map<string, number>();
    const timesteps: number[] = [];
    const by = { "tiny-sd-unet-inpaint9": inpainting, unet_lcm: distilled }[run.unet] ?? pipeline;
    const { images, latents } = await by.generate({
      ...optionsOf(run, golden),
      onStep: ({ index, timestep, latents }) => {
        timesteps.push(timestep);
        errors.set(`out.latents${index}`, golden.error(`out.latents${index}`, latents));
      },
    });
    errors.set("out.image", golden.error("out.image", images));
    tf.dispose([images, latents]);
    expect(timesteps).toEqual(run.callback_timesteps.map((t) => expect.closeTo(t, 3)));
    expect(errors.size).toBe(run.callback_timesteps.length + 1);
    expect(above(Math.max(2e-5, 10 * run.noise_floor_relrms_f32_vs_f64.out), errors)).toEqual([]);
  });
});

/** The folders of the networks. */
const PARTS = ["unet", "vae", "text_encoder"];
const PROMPT = { prompt: "a red cube", width: 32, height: 32, numInferenceSteps: 3 };

/** Draws, and returns the pictures as numbers. */
async function draw(options: StableDiffusionOptions, by = pipeline): Promise<{ shape: number[]; images: number[] }> {
  const { images, latents } = await by.generate(options);
  const result = { shape: images.shape, images: [...images.dataSync()] };
  tf.dispose([images, latents]);
  return result;
}

/** A disposed tensor. */
function gone(shape: number[]): tf.Tensor {
  const tensor = tf.zeros(shape);
  tensor.dispose();
  return tensor;
}

/** A picture of soft stripes, and a mask of its right half. */
function pictureAndMask(): { image: tf.Tensor3D; mask: tf.Tensor2D } {
  return tf.tidy(() => {
    const stripes = tf
      .range(0, 32 * 32 * 3)
      .mul(0.01)
      .sin()
      .mul(0.4)
      .add(0.5);
    const right = tf.range(0, 32).greaterEqual(16).toFloat();
    return { image: stripes.reshape<tf.Tensor3D>([32, 32, 3]), mask: right.expandDims(0).tile<tf.Tensor2D>([32, 1]) };
  });
}

describe("Stable Diffusion", () => {
  it("draws pictures that are not square, several for a prompt, the same for the same seed", async () => {
    const wide = { ...PROMPT, width: 40, height: 24, numImages: 2 };
    const first = await draw({ ...wide, seed: 0 });
    expect(first.shape).toEqual([2, 24, 40, 3]);
    expect(await draw({ ...wide, seed: 0 })).toEqual(first);
    const [one, two] = [first.images.slice(0, 24 * 40 * 3), first.images.slice(24 * 40 * 3)];
    expect(one).not.toEqual(two);
    expect((await draw({ ...wide, seed: 1 })).images).not.toEqual(first.images);
  });

  it("takes a text encoder's states in place of prompts", async () => {
    const { textEncoder, tokenizer } = pipeline.parts;
    const [promptEmbeds, negativePromptEmbeds] = ["a red cube", "blurry"].map((text) => {
      const ids = tf.tensor2d([tokenizer.encode(text)], undefined, "int32");
      return textEncoder.forward(ids).lastHiddenState;
    });
    const { prompt, ...rest } = PROMPT;
    const said = await draw({ ...rest, prompt, negativePrompt: "blurry" });
    expect((await draw({ ...rest, promptEmbeds, negativePromptEmbeds })).images).toEqual(said.images);
  });

  it("pads the negative prompt to the number of tokens in promptEmbeds", async () => {
    const { textEncoder, tokenizer } = pipeline.parts;
    const read = (text: string, maxLength: number) =>
      textEncoder.forward(tf.tensor2d([tokenizer.encode(text, { maxLength })], undefined, "int32")).lastHiddenState;
    const { prompt, ...rest } = PROMPT;
    const promptEmbeds = read(prompt, 20);
    const said = await draw({ ...rest, promptEmbeds, negativePrompt: "blurry" });
    const expected = await draw({ ...rest, promptEmbeds, negativePromptEmbeds: read("blurry", 20) });
    expect(said.images).toEqual(expected.images);
    // Without guidance there is no negative prompt, and the states can have any length.
    const long = tf.concat([read(prompt, 77), read("on a hill", 77)], 1);
    expect((await draw({ ...rest, promptEmbeds: long, guidanceScale: 1 })).shape).toEqual([1, 32, 32, 3]);
  });

  it("takes the size of the picture from latents if no other option sets it", async () => {
    const latents = tf.randomNormal<tf.Rank.R4>([1, 5, 9, 4], 0, 1, "float32", 1);
    const { prompt, numInferenceSteps } = PROMPT;
    expect((await draw({ prompt, numInferenceSteps, latents })).shape).toEqual([1, 20, 36, 3]);
    latents.dispose();
  });

  it("draws no fresh noise unless eta is above 0, also with TCD", async () => {
    const latents = tf.randomNormal<tf.Rank.R4>([1, 8, 8, 4], 0, 1, "float32", 1);
    const base = { beta_schedule: "scaled_linear", clip_sample: false };
    for (const _class_name of ["TCDScheduler", "DDIMScheduler"]) {
      const options = { ...PROMPT, latents, scheduler: schedulerFromConfig({ ...base, _class_name }) };
      await draw({ ...options, noise: replayNoise([]) });
      await expect(draw({ ...options, noise: replayNoise([]), eta: 0.5 })).rejects.toThrow("draw 1 was requested");
    }
    latents.dispose();
  });

  it("starts image-to-image at the beginning of one of PNDM's Runge-Kutta steps", async () => {
    const { image, mask } = pictureAndMask();
    const scheduler = schedulerFromConfig({ _class_name: "PNDMScheduler", beta_schedule: "scaled_linear" });
    const { timesteps } = scheduler.plan(8);
    // Three steps of four calls, then five of one call: one, three and five steps are skipped.
    for (const [strength, first] of [
      [0.9, 4],
      [0.7, 12],
      [0.4, 14],
    ] as const) {
      const seen: number[] = [];
      const onStep = ({ timestep }: { timestep: number }) => void seen.push(timestep);
      await draw({ ...PROMPT, numInferenceSteps: 8, image, strength, scheduler, onStep });
      expect(seen).toEqual(timesteps.slice(first));
    }
    tf.dispose([image, mask]);
  });

  it("weights words with promptWeighting, and reads brackets as text without it", async () => {
    const { textEncoder, tokenizer } = pipeline.parts;
    const plain = tf.tensor2d([tokenizer.encode("a red cube")], undefined, "int32");
    const states = textEncoder.forward(plain).lastHiddenState;
    // Start, a, red, cube, end and padding: the second word has weight 1.5.
    const weights = Array.from({ length: 77 }, (_, i) => (i === 2 ? 1.5 : 1));
    const scaled = states.mul(tf.tensor3d(weights, [1, 77, 1]));
    const promptEmbeds = scaled.mul<tf.Tensor3D>(states.mean().div(scaled.mean()));
    const { prompt, ...rest } = PROMPT;
    const expected = await draw({ ...rest, promptEmbeds });
    const by = (text: string, promptWeighting: boolean) => draw({ ...rest, prompt: text, promptWeighting });
    const drawn = await by("a (red:1.5) cube", true);
    drawn.images.forEach((value, i) => expect(value).toBeCloseTo(expected.images[i]!, 4));
    expect((await by(prompt, true)).images).toEqual((await by(prompt, false)).images);
    expect((await by("a (red:1.5) cube", false)).images).not.toEqual(drawn.images);
  });

  it("warns of the text that it cuts off a long prompt", async () => {
    const warn = jest.spyOn(console, "warn").mockImplementation(() => undefined);
    const long = `${"red ".repeat(75)}cube on a hill`;
    const drawn = await draw({ ...PROMPT, prompt: long });
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]![0]).toContain('its end is cut off: "cube on a hill"');
    warn.mockRestore();
    expect((await draw({ ...PROMPT, prompt: "red ".repeat(75) })).images).toEqual(drawn.images);
  });

  it("shows a preview of every step", async () => {
    for await (const step of pipeline.steps(PROMPT)) {
      const small = step.preview();
      expect(small.shape).toEqual([1, 8, 8, 3]);
      small.dispose();
    }
  });

  it("changes only what the mask covers, bit for bit, when the picture is pasted back", async () => {
    const { image, mask } = pictureAndMask();
    for (const [by, maskBlur] of [
      [pipeline, 0],
      [pipeline, 4],
      [inpainting, 3],
    ] as const) {
      const { images } = await draw({ ...PROMPT, image, mask, pasteBack: true, maskBlur, seed: 3 }, by);
      const given = [...image.dataSync()];
      let changed = 0;
      images.forEach((value, i) => {
        const isMasked = Math.floor(i / 3) % 32 >= 16;
        if (!isMasked) expect(value).toBe(given[i]);
        else if (value !== given[i]) changed++;
      });
      expect(changed).toBeGreaterThan((16 - maskBlur) * 32 * 3 * 0.9);
    }
    tf.dispose([image, mask]);
  });

  it.each([true, false])(
    "with 9 channels, keeps the latents of the region that is pasted back: %s",
    async (pasteBack) => {
      const { image, mask } = pictureAndMask();
      const kept = (x: tf.Tensor4D) => [...x.slice([0, 0, 0, 0], [-1, -1, 4, -1]).dataSync()];
      const painted = (x: tf.Tensor4D) => [...x.slice([0, 0, 4, 0], [-1, -1, 4, -1]).dataSync()];
      // With two prompts, the region that depends on neither comes from the picture.
      const drawn: tf.Tensor4D[] = [];
      for (const prompt of ["a red cube", "rain"]) {
        drawn.push(await inpainting.generateLatents({ ...PROMPT, prompt, image, mask, pasteBack, seed: 3 }));
      }
      tf.tidy(() => {
        const [one, other] = drawn as [tf.Tensor4D, tf.Tensor4D];
        expect(one.shape).toEqual([1, 8, 8, 4]);
        expect(painted(one)).not.toEqual(painted(other));
        if (pasteBack) expect(kept(one)).toEqual(kept(other));
        else expect(kept(one)).not.toEqual(kept(other));
      });
      tf.dispose([image, mask, ...drawn]);
    },
  );

  it("paints the borders of a larger canvas", async () => {
    const { image, mask } = pictureAndMask();
    const canvas = outpaintCanvas(image, { right: 8, top: 4 });
    expect(canvas.image.shape).toEqual([1, 36, 40, 3]);
    expect(canvas.mask.sum().dataSync()[0]).toBe(36 * 40 - 32 * 32);
    const { shape, images } = await draw({ ...PROMPT, width: 40, height: 36, ...canvas, pasteBack: true });
    expect(shape).toEqual([1, 36, 40, 3]);
    const at = (row: number, column: number) => images.slice((row * 40 + column) * 3, (row * 40 + column) * 3 + 3);
    expect(at(4, 0)).toEqual([...image.dataSync().slice(0, 3)]);
    expect(() => outpaintCanvas(image, { left: 1.5 })).toThrow("left 1.5; give whole numbers of pixels");
    expect(() => outpaintCanvas(image, {})).toThrow("at least one above 0");
    expect(() => outpaintCanvas(image, { left: 1e9 })).toThrow(/^outpaintCanvas: 1\d+ x \d+ pixels; at most 67108864/);
    tf.dispose([image, mask, canvas.image, canvas.mask]);
  });

  it("writes a folder that draws the same when it is opened again, and opens the fp16 variant", async () => {
    const copy = await mkdtemp(join(tmpdir(), "stable diffusion copy "));
    await pipeline.savePretrained(copy);
    const drawn = await draw(PROMPT);
    const again = await StableDiffusionPipeline.fromPretrained(copy);
    expect((await draw(PROMPT, again)).images).toEqual(drawn.images);
    again.dispose();
    const half = await StableDiffusionPipeline.fromPretrained(folder, { variant: "fp16" });
    const { images } = await draw(PROMPT, half);
    const largest = Math.max(...images.map((value, i) => Math.abs(value - drawn.images[i]!)));
    expect(largest).toBeGreaterThan(0);
    expect(largest).toBeLessThan(0.05); // Weights with 11 significant bits, through three steps.
    half.dispose();
    await rm(copy, { recursive: true });
  });

  it("writes the weights byte for byte and the configs key for key as diffusers did", async () => {
    const copy = await mkdtemp(join(tmpdir(), "stable diffusion copy "));
    await pipeline.savePretrained(copy);
    const config = (at: string, name: string) => {
      const { _diffusers_version, ...rest } = JSON.parse(readFileSync(join(at, name), "utf8")) as Record<
        string,
        unknown
      >;
      return rest;
    };
    for (const name of [
      "model_index.json",
      "scheduler/scheduler_config.json",
      ...PARTS.map((part) => `${part}/config.json`),
    ])
      expect({ name, ...config(copy, name) }).toEqual({ name, ...config(folder, name) });
    for (const part of PARTS) {
      const file = readdirSync(join(copy, part)).find((name) => name.endsWith(".safetensors"))!;
      expect(readFileSync(join(copy, part, file)).equals(readFileSync(join(folder, part, file)))).toBe(true);
    }
    await rm(copy, { recursive: true });
  });

  it("writes float16 with a variant and in shards, and draws from them as from diffusers' own fp16 files", async () => {
    const copy = await mkdtemp(join(tmpdir(), "stable diffusion half "));
    await pipeline.savePretrained(copy, { dtype: "F16", variant: "fp16", maxShardBytes: 150_000 });
    const shards = readdirSync(join(copy, "unet")).filter((name) => name.endsWith(".safetensors"));
    expect(shards).toEqual([1, 2, 3].map((n) => `diffusion_pytorch_model.fp16-0000${n}-of-00003.safetensors`));
    const [ours, theirs] = await Promise.all(
      [copy, folder].map((from) => StableDiffusionPipeline.fromPretrained(from, { variant: "fp16" })),
    );
    expect((await draw(PROMPT, ours)).images).toEqual((await draw(PROMPT, theirs)).images);
    ours!.dispose();
    theirs!.dispose();
    await rm(copy, { recursive: true });
  });

  it("draws with a LoRA, and as before once it is unloaded", async () => {
    const [before, count] = [await draw(PROMPT), tf.memory().numTensors];
    await pipeline.loras.load(fixturePath("lora/kohya/pytorch_lora_weights.safetensors"), { scale: 0.8 });
    expect((await draw(PROMPT)).images).not.toEqual(before.images);
    pipeline.loras.unload();
    expect(await draw(PROMPT)).toEqual(before);
    expect(tf.memory().numTensors).toBe(count);
  });

  it("leaves no tensor behind when it ends, is left early, is aborted or fails", async () => {
    const { image, mask } = pictureAndMask();
    await draw({ ...PROMPT, image, mask });
    const before = tf.memory().numTensors;
    for (const kind of [{}, { image }, { image, mask, pasteBack: true }]) {
      await draw({ ...PROMPT, ...kind });
      for await (const { index } of pipeline.steps({ ...PROMPT, ...kind })) if (index === 1) break;
      const abort = new AbortController();
      const onStep = () => abort.abort(new Error("enough"));
      await expect(draw({ ...PROMPT, ...kind, signal: abort.signal, onStep })).rejects.toThrow("enough");
      const failing = () => {
        throw new Error("mine");
      };
      await expect(draw({ ...PROMPT, ...kind, onStep: failing })).rejects.toThrow("mine");
      for (const part of [pipeline.parts.unet, pipeline.parts.vae, pipeline.parts.textEncoder] as object[]) {
        for (const method of ["forward", "encode", "decode"]) {
          if (!(method in part)) continue;
          Object.assign(part, { [method]: (x: tf.Tensor) => (x.clone(), failing()) });
          if (method !== "encode" || "image" in kind) {
            await expect(draw({ ...PROMPT, ...kind })).rejects.toThrow("mine");
          }
          delete (part as Record<string, unknown>)[method];
        }
      }
      expect(tf.memory().numTensors).toBe(before);
    }
    tf.dispose([image, mask]);
  });

  it.each<[string, object, string]>([
    ["no prompt", { prompt: undefined }, "neither is given"],
    ["an empty list", { prompt: [] }, "an empty list"],
    ["no steps", { numInferenceSteps: 0 }, "numInferenceSteps: 0; expected a whole number, 1 or more"],
    ["half a step", { numInferenceSteps: 2.5 }, "numInferenceSteps: 2.5"],
    ["a guidance scale that is not a number", { guidanceScale: NaN }, "guidanceScale: NaN"],
    ["an odd width", { width: 30 }, "width: 30; expected a multiple of 4 pixels"],
    ["a negative seed", { seed: -1 }, "seed: -1"],
    [
      "more layers skipped than there are",
      { clipSkip: 2 },
      "clipSkip: 2; expected less than the text encoder's 2 layers",
    ],
    ["a mask alone", { mask: tf.zeros([32, 32]) }, "mask: given without an image"],
    [
      "strength out of range",
      { image: tf.zeros([32, 32, 3]), strength: 1.1 },
      "strength: 1.1; expected a number from 0 to 1",
    ],
    [
      "too little strength",
      { image: tf.zeros([32, 32, 3]), strength: 0.1 },
      "strength: 0.1 of 3 steps is less than one",
    ],
    ["a sampler's name", { scheduler: "ddim" as never }, "scheduler: ddim; expected a scheduler"],
    ["an image that is a list", { image: [[0, 1]] as never }, "image: [a list of 2]; expected a tensor"],
    ["an image of another size", { image: tf.zeros([32, 36, 3]) }, "but the image has 36 x 32"],
    [
      "a mask of another size",
      { image: tf.zeros([32, 32, 3]), mask: tf.zeros([16, 32]) },
      "mask: [16, 32]; expected [32, 32, 1]",
    ],
    ["latents of another shape", { latents: tf.zeros([1, 8, 8, 3]) }, "latents: [1, 8, 8, 3]; expected [1, 8, 8, 4]"],
    ["negatives that do not fit", { negativePrompt: ["a", "b"] }, "negativePrompt: 2 for 1 prompts"],
    ["paste back without a mask", { pasteBack: true }, "pasteBack: given without a mask"],
    ["no scheduler", { scheduler: null as never }, "scheduler: null; expected a scheduler"],
    ["text for a number", { guidanceRescale: "0.5" as never }, "guidanceRescale: 0.5; expected a number from 0 to 1"],
    ["latents of whole numbers", { latents: tf.zeros([1, 8, 8, 4], "int32") }, "latents: int32; expected float32"],
    ["disposed latents", { latents: gone([1, 8, 8, 4]) }, "latents: a disposed tensor; expected a tensor of numbers"],
    ["a disposed image", { image: gone([32, 32, 3]) }, "image: a disposed tensor; expected a tensor of numbers"],
    [
      "an image of bytes",
      { image: tf.fill([32, 32, 3], 200, "int32") },
      "image: values from 200 to 200; expected values from 0 to 1",
    ],
    [
      "an image in [-1, 1]",
      { image: tf.fill([32, 32, 3], -1) },
      "image: values from -1 to -1; expected values from 0 to 1",
    ],
    ["an image of NaN", { image: tf.fill([32, 32, 3], NaN) }, "image: values that are NaN or infinite"],
    ["strength without an image", { strength: 0.5 }, "strength: 0.5; expected an image with it"],
    [
      "a blur without pasteBack",
      { image: tf.zeros([32, 32, 3]), mask: tf.ones([32, 32]), maskBlur: 3 },
      "maskBlur: 3; expected pasteBack: true with it",
    ],
    [
      "a blur wider than the picture",
      { image: tf.zeros([32, 32, 3]), mask: tf.ones([32, 32]), pasteBack: true, maskBlur: 32 },
      "maskBlur: 32; expected less than the picture's shorter side, 32",
    ],
    [
      "negative states of another length",
      { negativePromptEmbeds: tf.zeros([1, 20, 16]) },
      "negativePromptEmbeds: [1, 20, 16]; expected 1 or 1 rows, and as many tokens as the prompts have, 77",
    ],
    ...["DDIMInverseScheduler", "RePaintScheduler"].map((_class_name): [string, object, string] => [
      `a ${_class_name}`,
      { scheduler: schedulerFromConfig({ _class_name }) },
      `scheduler: ${_class_name} `,
    ]),
    [
      "a learned variance that the network lacks",
      { scheduler: schedulerFromConfig({ _class_name: "DDPMScheduler", variance_type: "learned_range" }) },
      "scheduler: DDPMScheduler with variance_type learned_range needs a network that predicts it",
    ],
  ])("refuses %s before any work", async (_, options, message) => {
    const before = tf.memory().numTensors;
    let calls = 0;
    const { unet, vae, textEncoder } = pipeline.parts;
    const stops = [unet, vae, textEncoder].map((network) => traceLayers(network, { enter: () => void calls++ }));
    const error = await pipeline.generate({ ...PROMPT, ...options }).catch((error: unknown) => error);
    for (const stop of stops) stop();
    expect(error).toBeInstanceOf(PipelineOptionError);
    expect((error as Error).message).toContain(message);
    expect(calls).toBe(0);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("says that an inpainting network needs an image and a mask", async () => {
    await expect(inpainting.generate(PROMPT)).rejects.toThrow("trained to fill masked regions and needs both");
  });
});
