import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { guide, keyedNoise } from "@tfjs-diffusion/schedulers";
import { guidanceEmbedding, needsGuidance } from "./guidance.js";

/** float32 keeps 24 bits; a handful of operations on values about 1. */
const FLOAT32 = 1e-6;

describe("Classifier-free guidance", () => {
  let unconditional: tf.Tensor;
  let conditional: tf.Tensor;
  beforeEach(async () => {
    await tf.setBackend("cpu");
    unconditional = keyedNoise(1).normal([3, 4, 4, 2]);
    conditional = keyedNoise(2).normal([3, 4, 4, 2]);
  });
  afterEach(() => tf.dispose([unconditional, conditional]));

  it.each([0, 1, 3, 7.5])("at scale %d is unconditional + scale (conditional - unconditional)", async (scale) => {
    const [u, c, guided] = [
      unconditional.dataSync(),
      conditional.dataSync(),
      guide(unconditional, conditional, scale).dataSync(),
    ];
    for (const [i, value] of guided.entries()) expect(value).toBeCloseTo(u[i]! + scale * (c[i]! - u[i]!), 5);
  });

  it("changes nothing at scale 1, and is needed only above it", () => {
    const guided = guide(unconditional, conditional, 1);
    expect(tf.max(tf.abs(guided.sub(conditional))).dataSync()[0]).toBeLessThan(FLOAT32);
    expect([0, 1, 1.0001].map(needsGuidance)).toEqual([false, false, true]);
  });

  it("has, fully rescaled, the standard deviation of the conditional output in each image", () => {
    const deviations = (x: tf.Tensor) => tf.moments(x, [1, 2, 3]).variance.sqrt().arraySync() as number[];
    const want = deviations(conditional);
    const got = deviations(guide(unconditional, conditional, 7.5, 1));
    for (const [i, deviation] of got.entries()) expect(deviation).toBeCloseTo(want[i]!, 5);
    expect(deviations(guide(unconditional, conditional, 7.5))[0]).toBeGreaterThan(2 * want[0]!);
  });

  it("rescaled by half lies halfway between not and fully rescaled", () => {
    const [none, half, full] = [0, 0.5, 1].map((rescale) => guide(unconditional, conditional, 5, rescale));
    const difference = tf.abs(half!.sub(none!.add(full!).div(2)));
    expect(difference.max().dataSync()[0]).toBeLessThan(10 * FLOAT32);
  });

  it("frees every tensor but its result", () => {
    const before = tf.memory().numTensors;
    const guided = guide(unconditional, conditional, 5, 0.7);
    expect(tf.memory().numTensors).toBe(before + 1);
    guided.dispose();
  });
});

it("The guidance scale is embedded for a distilled network as in its training, with float32 rounding", () => {
  // diffusers 0.42.1: StableDiffusionPipeline.get_guidance_scale_embedding(None, torch.tensor([8.7 - 1]), 9)
  const golden = [
    0.043580141, -0.673688233, -0.771492898, 0.696135163, -0.999049902, 0.739015698, -0.636237919, 0.717910707, 0,
  ];
  const [row, same] = guidanceEmbedding(8.7, 9, 2).arraySync() as [number[], number[]];
  expect(row).toEqual(golden.map((value) => expect.closeTo(value, 6)));
  expect(same).toEqual(row);
});
