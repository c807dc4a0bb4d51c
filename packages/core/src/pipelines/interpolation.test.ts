import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../testing/backend.js";
import { writeTinyStableDiffusion, writeTinyStableDiffusionXL } from "../testing/stable-diffusion.js";
import { writeTinyUnCLIP } from "../testing/unclip.js";
import { PipelineOptionError } from "./options/errors.js";
import { interpolateImages, interpolatePrompts, lerp, slerp, slerpNoise } from "./interpolation.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion/stable-diffusion-xl.js";
import { StableDiffusionPipeline } from "./stable-diffusion/stable-diffusion.js";
import { UnCLIPImageVariationPipeline } from "./unclip/unclip-image-variation.js";

beforeAll(useTestBackend);

const SHAPE = [3, 4, 5, 2];
const gaussian = (seed: number, shape = SHAPE) => keyedNoise(seed).normal(shape);
const norms = (x: tf.Tensor) => x.reshape([x.shape[0], -1]).norm(2, 1).dataSync();

describe("slerp", () => {
  it("returns its ends bit for bit at shares 0 and 1", () => {
    const [a, b] = [gaussian(1), gaussian(2)];
    expect(slerp(a, b, 0).dataSync()).toEqual(a.dataSync());
    expect(slerp(a, b, 1).dataSync()).toEqual(b.dataSync());
  });

  it("divides a quarter of a circle into equal angles", () => {
    const [x, y] = [tf.tensor2d([[2, 0]]), tf.tensor2d([[0, 2]])];
    for (const share of [0.1, 0.25, 0.5, 0.9]) {
      const angle = (share * Math.PI) / 2;
      const [[cos, sin]] = slerp(x, y, share).arraySync() as [[number, number]];
      expect(cos).toBeCloseTo(2 * Math.cos(angle), 6);
      expect(sin).toBeCloseTo(2 * Math.sin(angle), 6);
    }
    expect(slerp(tf.tensor1d([2, 0]), tf.tensor1d([0, 2]), 0.5).arraySync()).toEqual(
      slerp(x, y, 0.5).reshape([2]).arraySync(),
    );
  });

  it("keeps the norm of each item of a batch, where a straight line would shorten it", () => {
    const unit = (x: tf.Tensor) => x.div(tf.tensor(norms(x)).reshape([3, 1, 1, 1]));
    const [a, b] = [unit(gaussian(1)), unit(gaussian(2))];
    for (const share of [0.2, 0.5, 0.7]) for (const norm of norms(slerp(a, b, share))) expect(norm).toBeCloseTo(1, 6);
    for (const norm of norms(lerp(a, b, 0.5))) expect(norm).toBeLessThan(0.95);
    const alone = slerp(a.slice([1], [1]), b.slice([1], [1]), 0.3);
    expect(slerp(a, b, 0.3).slice([1], [1]).dataSync()).toEqual(alone.dataSync());
  });

  it("is symmetric: the same path backwards", () => {
    const [a, b] = [gaussian(1), gaussian(2)];
    const [there, back] = [slerp(a, b, 0.3), slerp(b, a, 0.7)];
    expect(there.sub(back).abs().max().dataSync()[0]).toBeLessThan(1e-6);
  });

  it("uses the line for items that are nearly parallel, opposite or zero, and the arc for the others", () => {
    const a = tf.tensor2d([
      [1, 0],
      [1, 0],
      [0, 0],
      [1, 0],
    ]);
    const b = tf.tensor2d([
      [3, 1e-4],
      [-1, 0],
      [2, 4],
      [0, 1],
    ]);
    const half = Math.SQRT1_2;
    const mixed = slerp(a, b, 0.5).dataSync();
    [2, 0.5e-4, 0, 0, 1, 2, half, half].forEach((value, i) => expect(mixed[i]).toBeCloseTo(value, 6));
  });

  it("leaves only its result, and refuses different shapes and shares outside [0, 1]", () => {
    const [a, b] = [gaussian(1), gaussian(2)];
    const count = tf.memory().numTensors;
    slerp(a, b, 0.5);
    lerp(a, b, 0.5);
    expect(tf.memory().numTensors).toBe(count + 2);
    expect(() => slerp(a, gaussian(1, [2, 2]), 0.5)).toThrow("a is [3, 4, 5, 2] and b [2, 2]");
    for (const share of [-0.1, 1.1, NaN]) expect(() => slerp(a, b, share)).toThrow(`share is ${share}`);
  });
});

describe("Noise between two seeds", () => {
  it("is the noise of the seeds at the ends, and standard normal in between", () => {
    const at = (share: number) => slerpNoise(keyedNoise(1), keyedNoise(2), share).normal([1, 10_000]);
    expect(at(0).dataSync()).toEqual(gaussian(1, [1, 10_000]).dataSync());
    expect(at(1).dataSync()).toEqual(gaussian(2, [1, 10_000]).dataSync());
    const { mean, variance } = tf.moments(at(0.5));
    // 5 standard errors of the mean and of the variance.
    expect(Math.abs(mean.dataSync()[0]!)).toBeLessThan(0.05);
    expect(Math.abs(variance.dataSync()[0]! - 1)).toBeLessThan(5 * Math.sqrt(2 / 10_000));
    const uniform = slerpNoise(keyedNoise(1), keyedNoise(2), 0.5).uniform([1000]).dataSync();
    expect(Math.max(...uniform)).toBeLessThan(1);
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
  });
});

describe("Pictures between two", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "between "));
    await writeTinyStableDiffusion(join(folder, "sd"));
    await writeTinyStableDiffusionXL(join(folder, "xl"));
    await writeTinyUnCLIP(join(folder, "variation"), "variation");
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function collect(frames: AsyncIterable<{ share: number; images: tf.Tensor4D }>) {
    const shares: number[] = [];
    const pictures: Float32Array[] = [];
    for await (const { share, images } of frames) {
      shares.push(share);
      pictures.push(images.dataSync() as Float32Array);
      images.dispose();
    }
    return { shares, pictures };
  }

  it.each(["sd", "xl"])(
    "prompts begin and end with the pictures of the prompts, and differ in between: %s",
    async (kind) => {
      const Class = kind === "sd" ? StableDiffusionPipeline : StableDiffusionXLPipeline;
      const pipeline = await Class.fromPretrained(join(folder, kind));
      const options = { width: 16, height: 16, numInferenceSteps: 2 };
      const drawn = async (prompt: string, seed: number) => {
        const { images, latents } = await pipeline.generate({ ...options, prompt, seed });
        const data = images.dataSync();
        tf.dispose([images, latents]);
        return data;
      };
      const ends = [await drawn("a red hat", 3), await drawn("a blue cube", 4)];
      const count = tf.memory().numTensors;
      const given = { ...options, frames: 3, seeds: [3, 4] as [number, number] };
      const { shares, pictures } = await collect(interpolatePrompts(pipeline, ["a red hat", "a blue cube"], given));
      expect(shares).toEqual([0, 0.5, 1]);
      expect([pictures[0], pictures[2]]).toEqual(ends);
      for (const end of ends) expect(pictures[1]).not.toEqual(end);

      for await (const { images } of interpolatePrompts(pipeline, ["a", "b"], given)) {
        images.dispose();
        break;
      }
      for (const count of [1, 3]) {
        const several = Array<string>(count).fill("a") as [string, string];
        await expect(collect(interpolatePrompts(pipeline, several, given))).rejects.toThrow(
          `prompts: ${count}; expected two`,
        );
      }
      const stopped = interpolatePrompts(pipeline, ["a", "b"], {
        ...given,
        signal: AbortSignal.abort(new Error("no")),
      });
      await expect(collect(stopped)).rejects.toThrow("no");
      const seeded = interpolatePrompts(pipeline, ["a", "b"], { ...given, seeds: [1] as never });
      await expect(collect(seeded)).rejects.toThrow("seeds: [1]; expected two whole numbers");
      const skipping = interpolatePrompts(pipeline, ["a", "b"], { ...given, clipSkip: 9 });
      await expect(collect(skipping)).rejects.toThrow("clipSkip: 9; expected less than the text encoder's");
      expect(() => pipeline.encodePrompts([])).toThrow("prompts: an empty list");
      await expect(collect(interpolatePrompts(pipeline, ["a", "b"], { ...given, frames: 1 }))).rejects.toThrow(
        PipelineOptionError,
      );
      expect(tf.memory().numTensors).toBe(count);
      pipeline.dispose();
    },
  );

  it("pictures begin and end with the pictures' variations, and differ in between", async () => {
    const pipeline = await UnCLIPImageVariationPipeline.fromPretrained(join(folder, "variation"));
    const [a, b] = [tf.randomUniform([20, 30, 3], 0, 1, "float32", 1), tf.fill([28, 28, 3], 0.4)] as [
      tf.Tensor3D,
      tf.Tensor3D,
    ];
    const options = { decoderNumInferenceSteps: 2, superResNumInferenceSteps: 2 };
    const drawn = async (image: tf.Tensor3D) => {
      const { images, latents } = await pipeline.generate({ ...options, image });
      const data = images.dataSync();
      tf.dispose([images, latents]);
      return data;
    };
    const ends = [await drawn(a), await drawn(b)];
    const count = tf.memory().numTensors;
    const { pictures } = await collect(interpolateImages(pipeline, [a, b], { ...options, frames: 4 }));
    expect(pictures).toHaveLength(4);
    expect([pictures[0], pictures[3]]).toEqual(ends);
    expect(pictures[1]).not.toEqual(pictures[2]);
    expect(tf.memory().numTensors).toBe(count);
    pipeline.dispose();
  });
});
