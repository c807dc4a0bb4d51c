import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  DDIMScheduler,
  DDPMScheduler,
  EulerDiscreteScheduler,
  keyedNoise,
  replayNoise,
  type Scheduler,
} from "@tfjs-diffusion/schedulers";
import { UNet2DModel } from "../../models/unet/unet-2d.js";
import { useTestBackend } from "../../testing/backend.js";
import { loadFixture } from "../../testing/fixture.js";
import { openPipeline } from "../open-pipeline.js";
import { PipelineOptionError, PipelinePartsError } from "../options/errors.js";
import { DDIMPipeline, DDPMPipeline } from "./ddpm.js";
import type { DDPMOptions } from "./ddpm-options.js";

let unet: UNet2DModel;
let classes: UNet2DModel;
let folder: string;
beforeAll(async () => {
  await useTestBackend();
  unet = await loadFixture<UNet2DModel>("unet2d_ddpm_cifar");
  classes = await loadFixture<UNet2DModel>("unet2d_class_scaleshift");
  folder = await mkdtemp(join(tmpdir(), "ddpm "));
});
afterAll(async () => {
  unet.dispose();
  classes.dispose();
  await rm(folder, { recursive: true });
});

const ddpm = (scheduler: Scheduler = new DDPMScheduler()) => new DDPMPipeline({ unet, scheduler });
const ofClasses = () => new DDPMPipeline({ unet: classes, scheduler: new DDIMScheduler() });

async function numbers(pipeline: DDPMPipeline, options: DDPMOptions): Promise<number[]> {
  const { images, latents } = await pipeline.generate(options);
  const values = [...images.dataSync()];
  tf.dispose([images, latents]);
  return values;
}

/** The loop of diffusers' DDPMPipeline and DDIMPipeline: no scaling of the input or of the initial noise. */
function byHand(scheduler: Scheduler, steps: number, x: tf.Tensor4D, ask: (x: tf.Tensor4D, t: number) => tf.Tensor4D) {
  return tf.tidy(() => {
    const plan = scheduler.plan(steps);
    const noise = keyedNoise(4);
    let state = plan.resume(x.clone(), 0);
    for (const [i, t] of plan.timesteps.entries())
      state = plan.step(state, ask(state.x as tf.Tensor4D, t), i, noise, { eta: 0 });
    return [...state.x.div(2).add(0.5).clipByValue(0, 1).dataSync()];
  });
}

/**
 * The largest difference. Networks and schedulers have their own golden tests; these tests cover the code between them.
 */
const near = (a: number[], b: number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

describe("DDPMPipeline", () => {
  it.each([
    ["DDPM", new DDPMScheduler({ beta_schedule: "linear" }), 6],
    ["DDPM with the larger variance", new DDPMScheduler({ variance_type: "fixed_large" }), 4],
    ["DDIM", new DDIMScheduler({ clip_sample: true }), 5],
  ])("gives the results of diffusers' loop: %s", async (_, scheduler, steps) => {
    const latents = keyedNoise(1).normal([2, 8, 8, 3]) as tf.Tensor4D;
    const expected = byHand(scheduler, steps, latents, (x, t) => unet.forward(x, t));
    const noise = keyedNoise(4);
    const drawn = await numbers(ddpm(scheduler), { numImages: 2, latents, noise, numInferenceSteps: steps });
    expect(near(drawn, expected)).toBeLessThan(1e-6);
    expect(new Set(drawn).size).toBeGreaterThan(100);
    latents.dispose();
  });

  it("draws its noise from the seed, the same for the same seed, and leaves no tensors", async () => {
    const pipeline = ddpm(new DDIMScheduler());
    const before = tf.memory().numTensors;
    const few = { numInferenceSteps: 2 };
    const drawn = await numbers(pipeline, { ...few, seed: 1 });
    expect(drawn).toHaveLength(8 * 8 * 3);
    expect(await numbers(pipeline, { ...few, seed: 1 })).toEqual(drawn);
    expect(await numbers(pipeline, { ...few, seed: 2 })).not.toEqual(drawn);
    expect(await numbers(pipeline, { ...few, seed: 1, height: 16, width: 12 })).toHaveLength(16 * 12 * 3);
    for await (const step of pipeline.steps(few)) if (step.index === 0) break;
    await expect(pipeline.generate({ ...few, numImages: 0 })).rejects.toThrow(PipelineOptionError);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("saves a folder for diffusers and opens it again: a DDIMPipeline with 50 steps, others with 1000", async () => {
    for (const Class of [DDPMPipeline, DDIMPipeline]) {
      const scheduler = Class === DDIMPipeline ? new DDIMScheduler() : new DDPMScheduler();
      const at = join(folder, Class.name);
      await new Class({ unet, scheduler }).savePretrained(at);
      const index = JSON.parse(await readFile(join(at, "model_index.json"), "utf8")) as object;
      const name = scheduler.config._class_name;
      expect(index).toEqual({
        _class_name: Class.name,
        scheduler: ["diffusers", name],
        unet: ["diffusers", "UNet2DModel"],
      });
      const opened = (await openPipeline(at)) as DDPMPipeline;
      expect(opened.constructor).toBe(Class);
      expect([opened.input, opened.options.numInferenceSteps!.default]).toEqual([
        "nothing",
        Class === DDIMPipeline ? 50 : 1000,
      ]);
      const few = { numInferenceSteps: 2 };
      expect(await numbers(opened, few)).toEqual(await numbers(new Class({ unet, scheduler }), few));
      opened.dispose();
    }
  });

  it("takes typed arrays where it takes lists of numbers", async () => {
    const [timesteps, sigmas] = [Int32Array.of(600, 200), Float64Array.of(5, 1, 0)];
    expect(await numbers(ddpm(), { timesteps })).toEqual(await numbers(ddpm(), { timesteps: [600, 200] }));
    const euler = ddpm(new EulerDiscreteScheduler());
    expect(await numbers(euler, { sigmas })).toEqual(await numbers(euler, { sigmas: [5, 1, 0] }));
    const few = { numInferenceSteps: 2 };
    expect(await numbers(ofClasses(), { ...few, classLabels: Uint8Array.of(3, 0) })).toEqual(
      await numbers(ofClasses(), { ...few, classLabels: [3, 0] }),
    );
    const message = /^timesteps: an empty list; give a list of numbers/;
    await expect(ddpm().generate({ timesteps: new Int32Array(0) })).rejects.toThrow(message);
    await expect(ddpm().generate({ timesteps: Float32Array.of(NaN) })).rejects.toThrow(
      /^timesteps: .*; expected a list/,
    );
  });

  it("refuses what it cannot draw, before any work", async () => {
    const pipeline = ddpm();
    const wrong: [object, RegExp][] = [
      [{ prompt: "a cat" }, /^prompt: a cat; expected nothing: this pipeline reads no text/],
      [{ classLabels: [1] }, /^classLabels: \[1\]; this network was trained without classes/],
      [{ guidanceScale: 3 }, /^guidanceScale: 3; .* This network was trained without classes/],
      [{ latents: tf.zeros([1, 8, 8, 4]) }, /^latents: \[1, 8, 8, 4\]; expected \[1, height, width, 3\]/],
      [{ latents: tf.zeros([8, 8, 3]) }, /^latents: \[8, 8, 3\]; expected \[1, height, width, 3\]/],
      [{ latents: tf.zeros([1, 8, 8, 3], "int32") }, /^latents: int32; expected float32/],
      [{ latents: tf.zeros([1, 8, 8, 3]), height: 16 }, /^latents: \[1, 8, 8, 3\]; expected \[1, 16, width, 3\]/],
    ];
    for (const [options, message] of wrong) await expect(pipeline.generate(options)).rejects.toThrow(message);
    expect(() => (pipeline.parts.unet = { ...unet, outChannels: 5 } as never)).toThrow(PipelinePartsError);
  });
});

describe("DDPMPipeline with a network that also predicts variances", () => {
  let learned: UNet2DModel;
  beforeAll(() => {
    learned = new UNet2DModel({ ...unet.config, out_channels: 6 });
    learned.initialize(keyedNoise(6));
  });
  afterAll(() => learned.dispose());

  it.each(["learned", "learned_range"] as const)("walks diffusers' loop: variance_type %s", async (variance_type) => {
    // Of the class "learned", the output is the variance itself, which must not be negative.
    const ask = (x: tf.Tensor4D, t: number) => {
      const [prediction, variance] = tf.split(learned.forward(x, t), 2, 3) as [tf.Tensor4D, tf.Tensor4D];
      return tf.concat([prediction, variance_type === "learned" ? variance.square() : variance], 3);
    };
    const { inChannels, outChannels, sampleSize } = learned;
    const network = { inChannels, outChannels, sampleSize, forward: (x: tf.Tensor4D, t: number) => ask(x, t) };
    const scheduler = new DDPMScheduler({ variance_type });
    const latents = keyedNoise(1).normal([1, 8, 8, 3]) as tf.Tensor4D;
    const expected = byHand(scheduler, 4, latents, ask);
    const pipeline = new DDPMPipeline({ unet: network, scheduler });
    const options = { latents, noise: keyedNoise(4), numInferenceSteps: 4 };
    const before = tf.memory().numTensors;
    expect(near(await numbers(pipeline, options), expected)).toBeLessThan(1e-6);
    expect(tf.memory().numTensors).toBe(before);
    latents.dispose();
  });

  it("gives the prediction alone to a sampler that reads no variance", async () => {
    const scheduler = new DDIMScheduler();
    const latents = keyedNoise(1).normal([1, 8, 8, 3]) as tf.Tensor4D;
    const expected = byHand(scheduler, 3, latents, (x, t) => tf.split(learned.forward(x, t), 2, 3)[0] as tf.Tensor4D);
    const pipeline = new DDPMPipeline({ unet: learned, scheduler });
    expect(near(await numbers(pipeline, { latents, numInferenceSteps: 3 }), expected)).toBeLessThan(1e-6);
    latents.dispose();
  });

  it("shows the clean sample of a step", async () => {
    const pipeline = new DDPMPipeline({
      unet: learned,
      scheduler: new DDPMScheduler({ variance_type: "learned_range" }),
    });
    for await (const { output, x0 } of pipeline.steps({ numInferenceSteps: 2 }))
      expect([output.shape, x0.shape]).toEqual([
        [1, 8, 8, 6],
        [1, 8, 8, 3],
      ]);
  });

  it("is refused for a sampler that learns variances, where the network predicts none", async () => {
    const scheduler = new DDPMScheduler({ variance_type: "learned" });
    expect(() => ddpm(scheduler)).toThrow(PipelinePartsError);
    await expect(ddpm().generate({ scheduler })).rejects.toThrow(
      "scheduler: DDPMScheduler with variance_type learned needs a network that predicts it",
    );
  });
});

describe("DDPMPipeline with classes", () => {
  it("gives the network the class of each picture, as the written-out loop does", async () => {
    const latents = keyedNoise(2).normal([4, 8, 8, 2]) as tf.Tensor4D;
    const expected = byHand(new DDIMScheduler(), 3, latents, (x, t) =>
      classes.forward(x, t, { classLabels: tf.tensor1d([3, 3, 0, 0], "int32") }),
    );
    const options = { classLabels: [3, 0], numImages: 2, latents, numInferenceSteps: 3 };
    expect(near(await numbers(ofClasses(), options), expected)).toBeLessThan(1e-6);
    latents.dispose();
  });

  it("guides away from the null class (Ho & Salimans 2022, eq. 6)", async () => {
    const latents = keyedNoise(2).normal([1, 8, 8, 2]) as tf.Tensor4D;
    const told = (x: tf.Tensor4D, t: number, label: number) =>
      classes.forward(x, t, { classLabels: tf.tensor1d([label], "int32") });
    const expected = byHand(new DDIMScheduler(), 3, latents, (x, t) => {
      const none = told(x, t, 4);
      return none.add(told(x, t, 1).sub(none).mul(2.5));
    });
    const options = { classLabels: [1], nullClass: 4, guidanceScale: 2.5, latents, numInferenceSteps: 3 };
    const before = tf.memory().numTensors;
    expect(near(await numbers(ofClasses(), options), expected)).toBeLessThan(1e-5);
    expect(tf.memory().numTensors).toBe(before);
    latents.dispose();
  });

  it("needs the classes, and says their range", async () => {
    const pipeline = ofClasses();
    expect(pipeline.input).toBe("class");
    const wrong: [DDPMOptions, RegExp][] = [
      [{}, /^classLabels: missing; expected whole numbers from 0 to 4, one for each picture/],
      [{ classLabels: [5] }, /^classLabels: \[5\]; expected whole numbers from 0 to 4/],
      [{ classLabels: [1], nullClass: 5 }, /^nullClass: 5; expected whole numbers from 0 to 4/],
      [{ classLabels: [1], guidanceScale: 2 }, /^guidanceScale: 2; .* as nullClass, or a scale of 1/],
    ];
    for (const [options, message] of wrong) await expect(pipeline.generate(options)).rejects.toThrow(message);
    const noise = replayNoise([tf.zeros([1, 8, 8, 2])]);
    await expect(pipeline.generate({ classLabels: [1], numInferenceSteps: 1, noise })).resolves.toBeDefined();
  });
});
