import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, DDPMScheduler, keyedNoise, replayNoise, type Scheduler } from "@tfjs-diffusion/schedulers";
import type { UNet2DModel } from "../../models/unet/unet-2d.js";
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

  it("refuses what it cannot draw, before any work", async () => {
    const pipeline = ddpm();
    const wrong: [object, RegExp][] = [
      [{ prompt: "a cat" }, /^prompt: a cat; expected nothing: this pipeline reads no text/],
      [{ classLabels: [1] }, /^classLabels: 1; this network was trained without classes/],
      [{ guidanceScale: 3 }, /^guidanceScale: 3; .* This network was trained without classes/],
      [{ latents: tf.zeros([1, 8, 8, 4]) }, /^latents: \[1, 8, 8, 4\]; expected \[1, 8, 8, 3\]/],
    ];
    for (const [options, message] of wrong) await expect(pipeline.generate(options)).rejects.toThrow(message);
    expect(() => (pipeline.parts.unet = { ...unet, outChannels: 6 } as never)).toThrow(PipelinePartsError);
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
