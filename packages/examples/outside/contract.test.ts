import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  type AnyPipeline,
  openPipeline,
  PipelineOptionError,
  StableDiffusionPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import { alignYourSteps, publicConfig, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { writeTinyStableDiffusion, writeTinyStableDiffusionXL } from "../../core/src/testing/stable-diffusion.js";
import { writeTinyUnCLIP } from "../../core/src/testing/unclip.js";

/** Folders of every kind, and who makes them; undefined: it is there. */
const KINDS: [string, ((folder: string) => Promise<void>) | undefined][] = [
  ["Stable Diffusion", writeTinyStableDiffusion],
  ["Stable Diffusion XL", writeTinyStableDiffusionXL],
  ["unCLIP", (folder) => writeTinyUnCLIP(folder, "text")],
  ["unCLIP image variation", (folder) => writeTinyUnCLIP(folder, "variation")],
  ["pixels", undefined],
];
const FACES = fileURLToPath(new URL("../weights/faces", import.meta.url));
const TIMESTEPS = [900, 500, 100];

let root: string;
beforeAll(async () => {
  await useBackend("wasm");
  root = await mkdtemp(join(tmpdir(), "contract "));
});
afterAll(() => rm(root, { recursive: true }));

describe.each(KINDS)("A pipeline opened from a folder of %s", (kind, write) => {
  let pipeline: AnyPipeline;
  let picture: tf.Tensor3D;
  beforeAll(async () => {
    const folder = write ? join(root, kind) : FACES;
    await write?.(folder);
    pipeline = await openPipeline(folder);
    picture = tf.fill<tf.Rank.R3>([20, 20, 3], 0.5);
  });
  afterAll(() => {
    pipeline.dispose();
    picture.dispose();
  });

  /** What this kind draws from, and the options of all kinds. */
  const options = () => ({
    ...(pipeline.input === "text" ? { prompt: "a red cube", negativePrompt: "blue" } : { image: picture }),
    ...{ numInferenceSteps: 2, guidanceScale: 2, seed: 3, numImages: 1 },
  });

  async function draw(more: object = {}, by = pipeline) {
    const { images, latents } = await by.generate({ ...options(), ...more } as never);
    const drawn = { shape: images.shape, images: [...(await images.data())], latents: [...(await latents.data())] };
    tf.dispose([images, latents]);
    return drawn;
  }

  it("draws by the common options, and leaves no tensors", async () => {
    const before = tf.memory().numTensors;
    const drawn = await draw();
    expect(drawn.shape[3]).toBe(3);
    expect(drawn.images.every((value) => value >= 0 && value <= 1)).toBe(true);
    expect(await draw({ scheduler: pipeline.scheduler, debug: true })).toEqual(drawn);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("shows each step: what is sampled, the network's output, the clean sample, a preview", async () => {
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

  it("takes timesteps in place of a number of steps, and not both", async () => {
    const seen: number[] = [];
    const onStep = ({ timestep }: { timestep: number }) => void seen.push(timestep);
    await draw({ numInferenceSteps: undefined, timesteps: TIMESTEPS, scheduler: ddim(), onStep });
    expect(seen.join()).toContain(TIMESTEPS.join());
    await expect(draw({ timesteps: TIMESTEPS })).rejects.toThrow("numInferenceSteps, timesteps: 2 are given");
    await expect(draw({ numInferenceSteps: undefined, timesteps: [5, 5] })).rejects.toThrow(PipelineOptionError);
  });

  /** The pipeline's own noise levels, visited by a method that takes any timesteps. */
  const ddim = () =>
    schedulerFromConfig({
      ...publicConfig(pipeline.scheduler.config),
      variance_type: undefined,
      _class_name: "DDIMScheduler",
    });

  it("waits for an asynchronous onStep, lends it the step until then, and passes its error on", async () => {
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
    await expect(draw({ sed: 1 })).rejects.toThrow("sed (nearest: seed): no option of this pipeline");
    if (pipeline.input === "text") return;
    await expect(draw({ prompt: "a red cube" })).rejects.toThrow(
      "prompt: a red cube; expected nothing: this pipeline draws from a picture and reads no text",
    );
  });

  it("is saved to a folder that opens as the same kind and draws the same", async () => {
    const folder = join(root, `${kind} saved`);
    await pipeline.savePretrained(folder);
    const again = await openPipeline(folder);
    expect(again.constructor).toBe(pipeline.constructor);
    expect(again.input).toBe(pipeline.input);
    expect(await draw({}, again)).toEqual(await draw());
    again.dispose();
  });
});

/** Only compiled: what compiles on a pipeline of any kind runs on every one that reads a text. */
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
  if (pipeline.input !== "image") return;
  await pipeline.generate({ image: picture, superResNumInferenceSteps: 2 });
  // @ts-expect-error it reads no text
  await pipeline.generate({ image: picture, prompt: "a hat" });
}
