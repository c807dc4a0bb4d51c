import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  type AnyPipeline,
  openPipeline,
  type PixelDiffusionPipeline,
  PipelineOptionError,
  StableDiffusionDiffEditPipeline,
  StableDiffusionPipeline,
  type UnCLIPImageVariationPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import { DDPMPipeline, type Pipeline, type TextPipeline } from "@tfjs-diffusion/core/pipelines";
import { alignYourSteps, publicConfig, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { KINDS, type Needed, numbersOf, type Opened, optionsOf, whatItNeeds } from "./testing/every-kind.js";

const TIMESTEPS = [900, 500, 100];

let root: string;
beforeAll(async () => {
  await useBackend("wasm");
  root = await mkdtemp(join(tmpdir(), "contract "));
});
afterAll(() => rm(root, { recursive: true }));

describe.each(Object.entries(KINDS))(
  "A pipeline opened from a folder of %s",
  (kind, { write, open = openPipeline }) => {
    let pipeline: Opened;
    let needed: Needed;
    beforeAll(async () => {
      const folder = join(root, kind);
      await write(folder);
      pipeline = await open(folder);
      needed = await whatItNeeds(pipeline);
    });
    afterAll(() => {
      pipeline.dispose();
      tf.dispose(needed);
    });

    /** The required inputs of this kind, and the options of all kinds. */
    const options = () => optionsOf(pipeline, needed);

    const draw = (more: object = {}, by = pipeline) => numbersOf(by, { ...options(), ...more });

    it("draws by the common options, and leaves no tensors", async () => {
      const before = tf.memory().numTensors;
      const drawn = await draw();
      expect(drawn.shape[3]).toBe(3);
      expect(drawn.images.every((value) => value >= 0 && value <= 1)).toBe(true);
      expect(await draw({ scheduler: pipeline.scheduler, debug: true })).toEqual(drawn);
      expect(tf.memory().numTensors).toBe(before);
    });

    it("yields each step: the sample, the network's output, the clean sample, a preview", async () => {
      const before = tf.memory().numTensors;
      const drawn = await draw();
      let last: number[] = [];
      let count = 0;
      for await (const step of pipeline.steps(options() as never)) {
        const { index, total, latents, output, x0 } = step;
        expect([index, index < total]).toEqual([count++, true]);
        expect(x0.shape).toEqual(latents.shape);
        expect(output.shape.slice(0, -1)).toEqual(latents.shape.slice(0, -1));
        expect([...(await x0.data())].every(Number.isFinite)).toBe(true);
        const preview = step.preview();
        expect([preview.rank, preview.shape[3]]).toEqual([4, 3]);
        preview.dispose();
        last = [...(await latents.data())];
      }
      expect(last).toEqual(drawn.latents);
      expect(tf.memory().numTensors).toBe(before);
    });

    it("takes timesteps or noise levels in place of a number of steps, but not both, or says why it cannot", async () => {
      const seen: number[] = [];
      const onStep = ({ timestep }: { timestep: number }) => void seen.push(timestep);
      const few = { numInferenceSteps: undefined, onStep };
      if (pipeline instanceof StableDiffusionDiffEditPipeline) {
        const reason = "expected nothing: inversion needs evenly spaced steps";
        await expect(draw({ ...few, timesteps: TIMESTEPS })).rejects.toThrow(`timesteps: [900,500,100]; ${reason}`);
        await expect(draw({ ...few, sigmas: [9, 1, 0] })).rejects.toThrow(`sigmas: [9,1,0]; ${reason}`);
        expect(seen).toEqual([]);
        expect(await draw({ scheduler: sampler("EulerDiscreteScheduler") })).not.toEqual(await draw());
        return;
      }
      await draw({ ...few, timesteps: TIMESTEPS, scheduler: sampler("DDIMScheduler") });
      expect(seen.join()).toContain(TIMESTEPS.join());
      const scheduler = sampler("EulerDiscreteScheduler");
      const { sigmas } = scheduler.plan(3);
      const bySigmas = await draw({ ...few, sigmas, scheduler });
      const byNumber = await draw({ numInferenceSteps: 3, scheduler });
      const apart = bySigmas.latents.map((value, i) => Math.abs(value - byNumber.latents[i]!));
      expect(Math.max(...apart)).toBeLessThan(1e-2 * Math.max(...byNumber.latents.map(Math.abs)));
      await expect(draw({ timesteps: TIMESTEPS })).rejects.toThrow("numInferenceSteps, timesteps: 2 are given");
      await expect(draw({ ...few, sigmas, timesteps: TIMESTEPS })).rejects.toThrow("timesteps, sigmas: 2 are given");
      await expect(draw({ ...few, timesteps: [5, 5] })).rejects.toThrow(PipelineOptionError);
      await expect(draw({ ...few, sigmas: [1, 2], scheduler })).rejects.toThrow(PipelineOptionError);
    });

    /** A method that accepts any noise levels, with the pipeline's own noise schedule. */
    const sampler = (_class_name: string) =>
      schedulerFromConfig({ ...publicConfig(pipeline.scheduler.config), variance_type: undefined, _class_name });

    it("waits for an asynchronous onStep, keeps the step's tensors until then, and rethrows its error", async () => {
      const before = tf.memory().numTensors;
      let running = 0;
      const slow = async ({ latents }: { latents: tf.Tensor }) => {
        expect(++running).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 5));
        expect(latents.isDisposed).toBe(false);
        running--;
      };
      await draw({ onStep: slow });
      const failing = async () => Promise.reject(new Error("mine"));
      await expect(draw({ onStep: failing })).rejects.toThrow("mine");
      expect(tf.memory().numTensors).toBe(before);
    });

    it("says what it cannot do before any work", async () => {
      const before = tf.memory().numTensors;
      await expect(draw({ sed: 1 })).rejects.toThrow("sed (nearest: seed): not an option of this pipeline");
      if (pipeline.input === "text") return;
      const error: unknown = await draw({ prompt: "a red cube" }).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(PipelineOptionError);
      expect((error as Error).message).toMatch(/^prompt: a red cube; expected nothing: this pipeline .*reads no text/);
      expect(tf.memory().numTensors).toBe(before);
    });

    it("is saved to a folder that opens as the same kind and draws the same", async () => {
      const folder = join(root, `${kind} saved`);
      await pipeline.savePretrained(folder);
      const again = await open(folder);
      expect(again.constructor).toBe(pipeline.constructor);
      expect(again.input).toBe(pipeline.input);
      expect(await draw({}, again)).toEqual(await draw());
      again.dispose();
    });
  },
);

/** Only compiled: what compiles for a pipeline of any kind runs for every one that reads text. */
export async function onlyWhatRunsCompiles(pipeline: AnyPipeline, picture: tf.Tensor3D): Promise<void> {
  const timesteps = alignYourSteps["stable-diffusion-1"];
  await pipeline.generate({ prompt: "a hat", negativePrompt: "blue", numInferenceSteps: 2, guidanceScale: 2, seed: 1 });
  await pipeline.generate({ prompt: ["a", "b"], timesteps, width: 8, height: 8, numImages: 2, onStep: async () => {} });
  // @ts-expect-error misspelt
  await pipeline.generate({ promt: "a hat" });
  // @ts-expect-error not of every kind
  await pipeline.generate({ prompt: "a hat", clipSkip: 1 });
  // @ts-expect-error of image variations only
  await pipeline.generate({ prompt: "a hat", superResNumInferenceSteps: 2 });
  // @ts-expect-error of another type
  await pipeline.generate({ prompt: "a hat", numInferenceSteps: "2" });
  if (pipeline instanceof StableDiffusionPipeline) await pipeline.generate({ prompt: "a hat", clipSkip: 1 });
  if (pipeline instanceof DDPMPipeline) {
    await pipeline.generate({ numInferenceSteps: 2, classLabels: [1], nullClass: 4 });
    // @ts-expect-error it reads no text
    await pipeline.generate({ prompt: "a hat" });
    // @ts-expect-error of image variations only
    await pipeline.generate({ image: picture });
  }
  if (pipeline.input !== "image") return;
  await pipeline.generate({ image: picture, superResNumInferenceSteps: 2 });
  // @ts-expect-error it reads no text
  await pipeline.generate({ image: picture, prompt: "a hat" });
}

/**
 * Only compiled: all pipelines implement the contract, and text pipelines take the text options without a check of the
 * kind.
 */
export async function allAreKept(pipelines: {
  any: AnyPipeline;
  text: StableDiffusionPipeline;
  edit: StableDiffusionDiffEditPipeline;
  faces: PixelDiffusionPipeline;
  noise: DDPMPipeline;
  variation: UnCLIPImageVariationPipeline;
}): Promise<void> {
  const all: Pipeline<never>[] = Object.values(pipelines);
  for (const pipeline of all) pipeline.dispose();
  const texts: TextPipeline[] = [pipelines.text, pipelines.faces];
  for (const pipeline of texts) await pipeline.generate({ prompt: "a hat", numInferenceSteps: 2 });
  // @ts-expect-error it reads no text
  const _noise: TextPipeline = pipelines.noise;
  // @ts-expect-error it also needs a mask and the latents of an inversion
  const _edit: TextPipeline = pipelines.edit;
}
