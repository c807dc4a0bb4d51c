import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { namedParameters } from "../../nn/parameter.js";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath } from "../../testing/fixture.js";
import { writeTinyStableDiffusion, writeTinyStableDiffusionXL } from "../../testing/stable-diffusion.js";
import { PipelineOptionError } from "../options/errors.js";
import { interpolatePrompts } from "../interpolation.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion-xl.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";
import type { StableDiffusionOptions } from "./stable-diffusion-options.js";

let folders: string[];
let pipeline: StableDiffusionPipeline;
let xl: StableDiffusionXLPipeline;

beforeAll(async () => {
  await useTestBackend();
  folders = await Promise.all(["prompts ", "prompts xl "].map((name) => mkdtemp(join(tmpdir(), name))));
  await writeTinyStableDiffusion(folders[0]!);
  await writeTinyStableDiffusionXL(folders[1]!);
  pipeline = await StableDiffusionPipeline.fromPretrained(folders[0]!);
  xl = await StableDiffusionXLPipeline.fromPretrained(folders[1]!);
});
afterAll(async () => {
  pipeline.dispose();
  xl.dispose();
  for (const folder of folders) await rm(folder, { recursive: true });
});

let tensors: number;
beforeEach(() => {
  tensors = tf.memory().numTensors;
});
afterEach(() => {
  jest.restoreAllMocks();
  expect(tf.memory().numTensors).toBe(tensors);
});

const DDIM = schedulerFromConfig({
  _class_name: "DDIMScheduler",
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
});
const HEUN = schedulerFromConfig({ ...DDIM.config, _class_name: "HeunDiscreteScheduler" });
const BASE = { width: 32, height: 32, numInferenceSteps: 4, scheduler: DDIM, promptWeighting: true, seed: 3 };
const LONG = `a red cube, ${"a blue ball, ".repeat(25)}on a hill`; // 106 tokens

type Options = StableDiffusionOptions & { prompt2?: string; negativePrompt2?: string };

async function latentsOf(options: Options, by: StableDiffusionPipeline | StableDiffusionXLPipeline = pipeline) {
  const latents = await by.generateLatents({ ...BASE, ...options });
  const values = [...latents.dataSync()];
  latents.dispose();
  return values;
}

/** Draws with the states of these texts, one for each step, by stopping after each and going on. */
async function stepByStep(prompts: string[], by: StableDiffusionPipeline | StableDiffusionXLPipeline = pipeline) {
  let latents: tf.Tensor4D | undefined;
  for (const [i, prompt] of prompts.entries()) {
    const [from, to] = [i / prompts.length, (i + 1) / prompts.length];
    const next: tf.Tensor4D = await by.generateLatents({
      ...BASE,
      prompt,
      negativePrompt: "blurry",
      numInferenceSteps: prompts.length,
      ...(i > 0 && { denoisingStart: from, latents }),
      ...(to < 1 && { denoisingEnd: to }),
    });
    latents?.dispose();
    latents = next;
  }
  const values = [...latents!.dataSync()];
  latents!.dispose();
  return values;
}

describe.each([
  ["Stable Diffusion", () => pipeline],
  ["Stable Diffusion XL", () => xl],
])("%s: prompt editing", (_, by) => {
  it("draws the first part of the steps with one text, and the rest with the other", async () => {
    const edited = await latentsOf({ prompt: "a [cat:dog:0.5] on a hill", negativePrompt: "blurry" }, by());
    const [cat, dog] = ["a cat on a hill", "a dog on a hill"];
    expect(edited).toEqual(await stepByStep([cat, cat, dog, dog], by()));
    expect(edited).not.toEqual(await stepByStep([cat, cat, cat, dog], by()));
  });

  it("takes turns, a step each", async () => {
    const inTurn = await latentsOf({ prompt: "a [cat|dog|red ball]", negativePrompt: "blurry" }, by());
    expect(inTurn).toEqual(await stepByStep(["a cat", "a dog", "a red ball", "a cat"], by()));
  });
});

describe("Prompt editing", () => {
  it("reads each text once, before the first step", async () => {
    const rows: number[] = [];
    let steps = 0;
    const { textEncoder } = pipeline.parts;
    const forward = textEncoder.forward.bind(textEncoder);
    jest.spyOn(textEncoder, "forward").mockImplementation((ids, options) => {
      expect(steps).toBe(0);
      rows.push(ids.shape[0]);
      return forward(ids, options);
    });
    await latentsOf({
      prompt: ["a [cat|dog] on a hill", "a dog on a hill"],
      negativePrompt: "[blurry::2]",
      onStep: () => void steps++,
    });
    expect(rows).toEqual([2, 2]); // A cat, a dog; blurry, nothing.
    expect(steps).toBe(4);
  });

  it("edits the negative prompt, too, and each prompt of a batch by itself", async () => {
    const options = { prompt: "a cat", negativePrompt: "[blurry:dark:2]" };
    const both = await latentsOf({ ...options, prompt: ["a cat", "a [cat:dog:3]"] });
    const noise = await latentsOf({ ...options, prompt: ["a cat", "a cat"] });
    expect(both.slice(0, 256)).toEqual(noise.slice(0, 256));
    expect(both.slice(256)).not.toEqual(noise.slice(256));
    expect(await latentsOf(options)).not.toEqual(await latentsOf({ ...options, negativePrompt: "blurry" }));
  });

  it("counts the steps of the sampler, which may call the network more than once", async () => {
    const seen = await contextsSeen({ prompt: "[a cat:a dog:2]", scheduler: HEUN });
    // Heun's method: two calls a step, and one for the last.
    expect(seen).toEqual([0, 0, 0, 0, 1, 1, 1]);
  });

  it("counts from the first step that is made of a picture, with a share of all steps, as the web UI does", async () => {
    const image = tf.fill<tf.Rank.R3>([32, 32, 3], 0.5);
    expect(await contextsSeen({ prompt: "[a cat:a dog:0.25]", image, strength: 0.5 })).toEqual([0, 1]);
    expect(await contextsSeen({ prompt: "[a cat:a dog:0.5]", image, strength: 0.5 })).toEqual([0, 0]);
    image.dispose();
  });

  it("says what it reads as text", async () => {
    const warn = jest.spyOn(console, "warn").mockImplementation(() => {});
    await latentsOf({ prompt: "a [cat:dog:bird:3]" });
    expect(warn.mock.calls).toEqual([[expect.stringContaining("[cat:dog:bird:3] is read as text")]]);
  });
});

/** Which context the denoiser reads in each call, numbered as they come. */
async function contextsSeen(options: Options): Promise<number[]> {
  const { unet } = pipeline.parts;
  const contexts: tf.Tensor[] = [];
  const seen: number[] = [];
  const forward = unet.forward.bind(unet);
  jest.spyOn(unet, "forward").mockImplementation((x, t, context, inputs) => {
    if (!contexts.includes(context)) contexts.push(context);
    seen.push(contexts.indexOf(context));
    return forward(x, t, context, inputs);
  });
  await latentsOf(options);
  jest.restoreAllMocks();
  return seen;
}

describe("Prompts of several chunks", () => {
  it("stand beside a negative prompt that is filled up with chunks of the empty text", async () => {
    const read = (prompt: string) => pipeline.encodePrompts([prompt], { weighting: true }).promptEmbeds;
    const [blurry, empty] = [read("blurry"), read("")];
    const negativePromptEmbeds = tf.concat([blurry, empty], 1);
    const promptEmbeds = read(LONG);
    expect(promptEmbeds.shape).toEqual([1, 154, 16]);
    const said = await latentsOf({ prompt: LONG, negativePrompt: "blurry" });
    expect(said).toEqual(await latentsOf({ promptEmbeds, negativePromptEmbeds }));
    expect(said).toEqual(await latentsOf({ promptEmbeds, negativePrompt: "blurry" }));
    expect(said).toEqual(await latentsOf({ prompt: LONG, negativePromptEmbeds }));
    // And a short prompt beside a long negative one.
    const short = tf.tidy(() => tf.concat([read("a cat"), empty], 1));
    expect(await latentsOf({ prompt: "a cat", negativePrompt: LONG })).toEqual(
      await latentsOf({ promptEmbeds: short, negativePromptEmbeds: promptEmbeds }),
    );
    await expect(latentsOf({ prompt: LONG, negativePromptEmbeds: blurry })).rejects.toThrow(
      "negativePromptEmbeds: 77 tokens; the prompts have 154.",
    );
    tf.dispose([blurry, empty, negativePromptEmbeds, promptEmbeds, short]);
  });

  it("are read without weights as well, up to the most chunks that are asked for", async () => {
    const warn = jest.spyOn(console, "warn").mockImplementation(() => {});
    const plain = { prompt: LONG, promptWeighting: false };
    const two = await latentsOf({ ...plain, maxEmbeddingsMultiples: 2 });
    expect(two).toEqual(await latentsOf({ prompt: LONG }));
    expect(warn).not.toHaveBeenCalled();
    expect(await latentsOf(plain)).not.toEqual(two);
    expect(await latentsOf({ prompt: LONG, maxEmbeddingsMultiples: 1 })).toEqual(await latentsOf(plain));
    expect(warn).toHaveBeenCalledTimes(3);
  });

  it("have states of their own size, as promptEmbeds of any length beside the default negative prompt", async () => {
    for (const [tokens, chunks] of [
      [20, [20]],
      [78, [77, 1]],
      [100, [77, 23]],
      [231, [77, 77, 77]],
    ] as const) {
      const promptEmbeds = tf.randomNormal<tf.Rank.R3>([1, tokens, 16], 0, 1, "float32", 1);
      const whole = pipeline.encodePrompts([""]).promptEmbeds;
      // The text encoder does not look ahead: the states of a short chunk are the first ones of a long one.
      const negativePromptEmbeds = tf.tidy(() =>
        tf.concat(
          chunks.map((length) => whole.slice([0, 0, 0], [1, length, 16])),
          1,
        ),
      );
      const [said, given] = [
        await latentsOf({ promptEmbeds }),
        await latentsOf({ promptEmbeds, negativePromptEmbeds }),
      ];
      for (const [i, value] of said.entries()) expect(Math.abs(value - given[i]!)).toBeLessThan(1e-4);
      tf.dispose([promptEmbeds, whole, negativePromptEmbeds]);
    }
  });

  it("are as many for both text encoders of XL, each with its own padding, and the vector is that of the first", () => {
    const ids: number[][][] = [];
    const { textEncoder, textEncoder2 } = xl.parts;
    for (const encoder of [textEncoder!, textEncoder2]) {
      const forward = encoder.forward.bind(encoder) as (ids: tf.Tensor2D) => never;
      jest.spyOn(encoder, "forward").mockImplementation((given: tf.Tensor2D) => {
        ids.push(given.arraySync());
        return forward(given);
      });
    }
    const { promptEmbeds, pooledPromptEmbeds } = xl.encodePrompts(["a cat BREAK a dog"], { weighting: true });
    const first = xl.encodePrompts(["a cat"]);
    expect(promptEmbeds.shape).toEqual([1, 154, first.promptEmbeds.shape[2]]);
    const [vector, vectorOfFirst] = [pooledPromptEmbeds!.dataSync(), first.pooledPromptEmbeds!.dataSync()];
    expect([...vector]).toEqual([...vectorOfFirst]);
    const [a, b, c, d] = ids.map(([row]) => row!);
    const pad = (row: number[] | undefined) => row!.at(-1);
    expect([pad(a), pad(b)]).toEqual([pad(a), pad(a)]);
    expect([pad(c), pad(d)]).toEqual([0, 0]);
    expect(pad(a)).not.toBe(0);
    tf.dispose([promptEmbeds, pooledPromptEmbeds!, Object.values(first)]);
  });

  it("of XL pad the second prompt and the negative prompts, too", async () => {
    const options = { prompt: "a cat", prompt2: "a BREAK b BREAK c", negativePrompt: "blurry BREAK dark" };
    const sizes: number[][] = [];
    const { unet } = xl.parts;
    const forward = unet.forward.bind(unet);
    jest.spyOn(unet, "forward").mockImplementation((x, t, context, inputs) => {
      sizes.push(context.shape);
      return forward(x, t, context, inputs);
    });
    await latentsOf(options, xl);
    expect(sizes[0]!.slice(0, 2)).toEqual([2, 231]);
  });

  it("can be interpolated with shorter ones", async () => {
    const options = { width: 32, height: 32, numInferenceSteps: 2, promptWeighting: true };
    const shapes: number[][] = [];
    for await (const { images } of interpolatePrompts(pipeline, ["a cat", LONG], { frames: 2, ...options })) {
      shapes.push(images.shape);
      images.dispose();
    }
    expect(shapes.length).toBe(2);
  });
});

describe("LoRA tags", () => {
  const LORA = fixturePath("lora/kohya/pytorch_lora_weights.safetensors");
  const weights = () =>
    tf.tidy(() => [...namedParameters(pipeline.parts.unet)].map(([, { value }]) => [...value.dataSync()]));
  const loraResolver = (name: string) => (name === "faces" ? LORA : undefined);

  it("draw with the LoRA that the resolver finds, and leave the old weights behind", async () => {
    const before = weights();
    const tagged = await latentsOf({ prompt: "a cat<lora:faces:0.5>", loraResolver });
    expect(weights()).toEqual(before);
    expect(pipeline.loras.scales).toEqual({});
    await pipeline.loras.load(LORA, { scale: 0.5 });
    expect(tagged).toEqual(await latentsOf({ prompt: "a cat" }));
    pipeline.loras.unload();
    expect(tagged).not.toEqual(await latentsOf({ prompt: "a cat" }));
  });

  it("change the scale of one that is loaded, for one drawing", async () => {
    await pipeline.loras.load(LORA, { name: "faces", scale: 0.25 });
    const held = tf.memory().numTensors;
    const tagged = await latentsOf({ prompt: "a cat <lora:faces:0:1.5>" });
    expect(pipeline.loras.scales).toEqual({ faces: 0.25 });
    expect(tf.memory().numTensors).toBe(held);
    pipeline.loras.setScale("faces", { unet: 1.5, text_encoder: 0 });
    expect(tagged).toEqual(await latentsOf({ prompt: "a cat" }));
    pipeline.loras.unload();
  });

  it("give the networks back when the loop is left or fails", async () => {
    const before = weights();
    for await (const step of pipeline.steps({ ...BASE, prompt: "<lora:faces>", loraResolver }))
      if (step.index === 1) break;
    expect(weights()).toEqual(before);
    const options = { prompt: "<lora:faces><lora:other>", loraResolver };
    await expect(latentsOf(options)).rejects.toThrow("loraResolver: found no LoRA with the name other.");
    expect(weights()).toEqual(before);
    expect(pipeline.loras.scales).toEqual({});
  });

  it("do not change the networks under another drawing", async () => {
    const first = pipeline.steps({ ...BASE, prompt: "<lora:faces>", loraResolver });
    await first.next();
    await expect(latentsOf({ prompt: "a cat" })).rejects.toThrow("another drawing of this pipeline is running");
    await first.return();
    await latentsOf({ prompt: "a cat" });
  });
});

it.each<[string, Options, string]>([
  ["a LoRA without a resolver", { prompt: "<lora:faces:0.8> a" }, "prompt: names the LoRA faces, which is not loaded"],
  ["a LoRA in the negative prompt", { prompt: "a", negativePrompt: "<lora:faces>" }, "negativePrompt: names the LoRA"],
  ["another kind of tag", { prompt: "<hypernet:x>" }, "prompt: <hypernet:x> names a hypernet"],
  ["the same LoRA twice", { prompt: "<lora:x><lora:x:2>" }, "prompt: names the LoRA x twice"],
  ["other LoRAs in a batch", { prompt: ["a <lora:x>", "b"] }, "another (none)"],
  ["a resolver for tags that are not read", { prompt: "a", promptWeighting: false, loraResolver: () => "" }, "loraRes"],
  ["a border that there is not", { prompt: "a", promptWeighting: false, commaPaddingBacktrack: 20 }, "commaPadding"],
])("A prompt with %s is refused by name, before any work", async (_, options, message) => {
  const forward = jest.spyOn(pipeline.parts.textEncoder, "forward");
  const error = await latentsOf(options).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(PipelineOptionError);
  expect((error as Error).message).toContain(message);
  expect(forward).not.toHaveBeenCalled();
});

it("encodePrompts refuses what changes with the step, and names it", () => {
  const read = (prompt: string) => () => pipeline.encodePrompts([prompt], { weighting: true });
  expect(read("a [cat:dog:0.5]")).toThrow("changes with the step");
  expect(read("a <lora:faces>")).toThrow("prompts: names the LoRA faces");
});
