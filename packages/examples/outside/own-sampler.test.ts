import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  openPipeline,
  StableDiffusionDiffEditPipeline,
  type StableDiffusionPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import {
  EulerDiscreteScheduler,
  HeunDiscreteScheduler,
  keyedNoise,
  type Scheduler,
  schedulerFromConfig,
} from "@tfjs-diffusion/schedulers";
import { LongEuler, OwnHeun } from "./own-samplers.js";
import { tinyStableDiffusion } from "./tiny-stable-diffusion.js";

const STABLE_DIFFUSION = { beta_schedule: "scaled_linear", beta_start: 0.00085, beta_end: 0.012 } as const;
const classes = { OwnHeun, LongEuler };

/** A sampler that is not a class: Heun's plans under another name. */
function plainHeun(): Scheduler {
  const heun = new HeunDiscreteScheduler(STABLE_DIFFUSION);
  return {
    config: { ...heun.config, _class_name: "PlainHeun" },
    alphaBar: heun.alphaBar,
    plan: (request) => heun.plan(request),
    addNoise: (x0, noise, timesteps) => heun.addNoise(x0, noise, timesteps),
    velocity: (x0, noise, timesteps) => heun.velocity(x0, noise, timesteps),
  };
}

const PAIRS: [string, Scheduler, Scheduler][] = [
  ["Heun's method, a class", new OwnHeun(STABLE_DIFFUSION), new HeunDiscreteScheduler(STABLE_DIFFUSION)],
  ["Heun's method, a plain object", plainHeun(), new HeunDiscreteScheduler(STABLE_DIFFUSION)],
  [
    "Euler's method, with a key of its own",
    new LongEuler(STABLE_DIFFUSION),
    new EulerDiscreteScheduler(STABLE_DIFFUSION),
  ],
];

/** The pictures, and the timesteps of the network's calls. */
interface Drawn {
  timesteps: number[];
  images: number[];
}

async function draw(pipeline: StableDiffusionPipeline, options: object): Promise<Drawn> {
  const timesteps: number[] = [];
  const { images, latents } = await pipeline.generate({
    prompt: "red",
    width: 16,
    height: 16,
    numInferenceSteps: 20,
    ...options,
    onStep: ({ timestep }) => timesteps.push(timestep),
  });
  const drawn = { timesteps, images: [...(await images.data())] };
  tf.dispose([images, latents]);
  return drawn;
}

let pipeline: StableDiffusionPipeline;
let image: tf.Tensor4D;
let folder: string;
beforeAll(async () => {
  await useBackend("wasm");
  pipeline = tinyStableDiffusion(new EulerDiscreteScheduler(STABLE_DIFFUSION));
  image = keyedNoise(9).uniform([1, 16, 16, 3]) as tf.Tensor4D;
  folder = await mkdtemp(join(tmpdir(), "own sampler "));
});
afterAll(async () => {
  pipeline.dispose();
  image.dispose();
  await rm(folder, { recursive: true });
});

describe.each(PAIRS)("A custom sampler: %s", (_, own, builtIn) => {
  it("draws from text like the built-in one", async () => {
    expect(await draw(pipeline, { scheduler: own })).toEqual(await draw(pipeline, { scheduler: builtIn }));
  });

  it.each([0.3, 0.45, 0.5, 0.7, 1])("draws from a picture like the built-in one, at strength %d", async (strength) => {
    const drawn = await draw(pipeline, { image, strength, scheduler: own });
    expect(drawn).toEqual(await draw(pipeline, { image, strength, scheduler: builtIn }));
    expect(drawn.images.every(Number.isFinite)).toBe(true);
  });

  it("leaves no tensors", async () => {
    const before = tf.memory().numTensors;
    await draw(pipeline, { image, strength: 0.5, scheduler: own });
    expect(tf.memory().numTensors).toBe(before);
  });
});

it("At strength 0.5 of 20 steps, Heun's method makes 19 calls from t = 473", async () => {
  const { timesteps } = await draw(pipeline, { image, strength: 0.5, scheduler: new OwnHeun(STABLE_DIFFUSION) });
  expect(timesteps).toHaveLength(19);
  expect(timesteps[0]).toBeCloseTo(473.2, 1);
});

describe("In the folder of a pipeline, a custom sampler", () => {
  it("is saved by its config and opens again, with its own keys", async () => {
    const saved = tinyStableDiffusion(new LongEuler({ ...STABLE_DIFFUSION, step_scale: 0.9 }));
    await saved.savePretrained(folder);
    const drawn = await draw(saved, { image, strength: 0.5 });
    const config = JSON.parse(await readFile(join(folder, "scheduler", "scheduler_config.json"), "utf8")) as object;
    expect(config).toMatchObject({ _class_name: "LongEuler", step_scale: 0.9 });

    const opened = (await openPipeline(folder, { classes })) as StableDiffusionPipeline;
    expect(opened.parts.scheduler).toBeInstanceOf(LongEuler);
    expect(await draw(opened, { image, strength: 0.5 })).toEqual(drawn);
    expect(drawn.images).not.toEqual((await draw(pipeline, { image, strength: 0.5 })).images); // The key has an effect.
    saved.dispose();
    opened.dispose();
  });

  it("throws an error that says how to give the class, if it is not given", async () => {
    await expect(openPipeline(folder)).rejects.toThrow(/"LongEuler".*classes: \{ MyScheduler \}/);
  });

  it("gets the settings that the pipeline's networks need, like built-in ones", () => {
    const { scheduler } = tinyStableDiffusion(new LongEuler({ ...STABLE_DIFFUSION, step_scale: 0.9 })).parts;
    expect(scheduler.config).toMatchObject({ _class_name: "LongEuler", steps_offset: 1, step_scale: 0.9 });
  });

  it("gives its noise schedule to DiffEdit's samplers", () => {
    const own = tinyStableDiffusion(new LongEuler({ ...STABLE_DIFFUSION, step_scale: 0.9 }));
    const { scheduler } = new StableDiffusionDiffEditPipeline(own);
    expect(scheduler.config).toMatchObject({ _class_name: "DDIMScheduler", ...STABLE_DIFFUSION });
    own.dispose();
  });
});

describe("The config of a custom sampler", () => {
  it("builds it, if its class is given", () => {
    expect(schedulerFromConfig({ _class_name: "OwnHeun" }, { classes })).toBeInstanceOf(OwnHeun);
    expect(() => schedulerFromConfig({ _class_name: "OwnHeun" })).toThrow(/"OwnHeun".*MyScheduler/);
  });

  it("is checked, with its own keys", () => {
    expect(() => new LongEuler({ step_scale: -1 })).toThrow(
      "LongEuler: step_scale is -1; it must be a number above 0.",
    );
    expect(() => new OwnHeun({ step_scale: 1 } as object)).toThrow(/step_scale is not a key of any scheduler/);
  });

  it("must have the name of its class", () => {
    const config = { _class_name: "MyHeun" };
    expect(() => schedulerFromConfig(config, { classes: { MyHeun: OwnHeun } })).toThrow(
      /MyHeun has _class_name OwnHeun/,
    );
  });
});
