import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { traceLayers } from "../nn/layer-trace.js";
import { useTestBackend } from "../testing/backend.js";
import { writeTinyStableDiffusion, writeTinyStableDiffusionXL } from "../testing/stable-diffusion.js";
import { StableDiffusionPipeline } from "./stable-diffusion/stable-diffusion.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion/stable-diffusion-xl.js";
import type { StableDiffusionOptions } from "./stable-diffusion/stable-diffusion-options.js";

type Pipeline = StableDiffusionPipeline | StableDiffusionXLPipeline;

const KINDS: [name: string, write: (folder: string) => Promise<void>, open: (folder: string) => Promise<Pipeline>][] = [
  ["Stable Diffusion", writeTinyStableDiffusion, (folder) => StableDiffusionPipeline.fromPretrained(folder)],
  ["Stable Diffusion XL", writeTinyStableDiffusionXL, (folder) => StableDiffusionXLPipeline.fromPretrained(folder)],
];

/** The stages of a generation: the network that runs, and those of its layers that belong to the stage. */
const STAGES = [
  ["reading the prompts", "textEncoder", /^/],
  ["encoding the picture", "vae", /^encoder/],
  ["denoising", "unet", /^/],
  ["decoding", "vae", /^decoder/],
] as const;

beforeAll(useTestBackend);

describe.each(KINDS)("%s leaves no tensor behind", (_, write, open) => {
  let folder: string;
  let pipeline: Pipeline;
  let unloaded: number;
  let loaded: number;

  const SIZE = { width: 16, height: 16 };
  const image = () => tf.fill<tf.Rank.R3>([SIZE.height, SIZE.width, 3], 0.5);
  const mask = () => tf.ones<tf.Rank.R2>([SIZE.height, SIZE.width]);
  const options = (more: Partial<StableDiffusionOptions> = {}) => ({
    prompt: "a red cube",
    ...SIZE,
    numInferenceSteps: 3,
    ...more,
  });
  async function draw(more?: Partial<StableDiffusionOptions>): Promise<void> {
    const { images, latents } = await pipeline.generate(options(more));
    tf.dispose([images, latents]);
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "leaks "));
    await write(folder);
    unloaded = tf.memory().numTensors;
    pipeline = await open(folder);
    loaded = tf.memory().numTensors;
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("in 100 generations of all kinds", async () => {
    const given = { image: image(), mask: mask() };
    const count = tf.memory().numTensors;
    const kinds: Partial<StableDiffusionOptions>[] = [
      {},
      { guidanceScale: 1 },
      { image: given.image },
      { ...given, pasteBack: true, maskBlur: 2 },
      { prompt: ["a", "b"], negativePrompt: "c", guidanceRescale: 0.5 },
    ];
    for (let seed = 0; seed < 100; seed++) {
      await draw({ ...kinds[seed % kinds.length], seed, numInferenceSteps: 2 });
      expect(tf.memory().numTensors).toBe(count);
    }
    tf.dispose(Object.values(given));
  });

  it("in 20 that are aborted and 20 whose loop is left, at random steps", async () => {
    const random = keyedRandom(1);
    for (let i = 0; i < 20; i++) {
      const last = random.integer(3);
      const abort = new AbortController();
      const onStep = ({ index }: { index: number }) => index === last && abort.abort(new Error("enough"));
      const drawing = draw({ signal: abort.signal, onStep });
      await expect(drawing).rejects.toThrow("enough");
      for await (const { index, preview } of pipeline.steps(options())) {
        preview().dispose();
        if (index === last) break;
      }
      expect(tf.memory().numTensors).toBe(loaded);
    }
    await expect(draw({ signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
    expect(tf.memory().numTensors).toBe(loaded);
  });

  it.each(STAGES)("in 20 that fail %s, in a random layer", async (_, part, stage) => {
    const random = keyedRandom(2, part);
    const picture = image();
    const count = tf.memory().numTensors;
    let entered = 0;
    let failing = Infinity;
    const stop = traceLayers(pipeline.parts[part]!, {
      enter(path) {
        if (stage.test(path) && entered++ === failing) throw new Error("no memory");
      },
    });
    await draw({ image: picture, strength: 1 });
    const calls = entered;
    expect(calls).toBeGreaterThan(20);
    for (let i = 0; i < 20; i++) {
      [entered, failing] = [0, random.integer(calls)];
      await expect(draw({ image: picture, strength: 1 })).rejects.toThrow("no memory");
      expect(tf.memory().numTensors).toBe(count);
    }
    stop();
    picture.dispose();
  });

  it("in 20 whose caller's function, noise or sampler throws", async () => {
    const random = keyedRandom(3);
    const { scheduler } = pipeline.parts;
    const plan = scheduler.plan(3);
    for (let i = 0; i < 20; i++) {
      const failing = random.integer(3);
      const fail = () => {
        throw new Error("mine");
      };
      const atStep = (index: number) => index === failing && fail();
      await expect(draw({ onStep: ({ index }) => atStep(index) })).rejects.toThrow("mine");
      const step: typeof plan.step = (state, output, index, noise) => {
        output.clone();
        atStep(index);
        return plan.step(state, output, index, noise);
      };
      const broken = Object.assign(Object.create(scheduler) as typeof scheduler, { plan: () => ({ ...plan, step }) });
      await expect(draw({ scheduler: broken })).rejects.toThrow("mine");
      await expect(draw({ noise: { normal: fail, uniform: fail } })).rejects.toThrow("mine");
      expect(tf.memory().numTensors).toBe(loaded);
    }
  });

  it("when it is disposed of", async () => {
    for await (const step of pipeline.steps(options())) step.preview().dispose();
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(unloaded);
  });
});
