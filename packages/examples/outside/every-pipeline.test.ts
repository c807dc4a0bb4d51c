import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { openPipeline, useBackend } from "@tfjs-diffusion/core";
import { BackendMemoryError, limitMemory } from "@tfjs-diffusion/core/backend";
import { KINDS, type Needed, numbersOf, type Opened, optionsOf, whatItNeeds } from "./testing/every-kind.js";

/** Pictures of a batch that is drawn in slices. */
const BATCH = 5;

let root: string;
beforeAll(async () => {
  await useBackend("wasm");
  root = await mkdtemp(join(tmpdir(), "every pipeline "));
});
afterAll(() => rm(root, { recursive: true }));

describe.each(Object.entries(KINDS))("A pipeline of the kind %s", (kind, { write, open = openPipeline }) => {
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

  const draw = (more: object = {}) => numbersOf(pipeline, { ...optionsOf(pipeline, needed), ...more });

  it("draws a batch in slices as it draws it at once, bit for bit, and with the same steps", async () => {
    const before = tf.memory().numTensors;
    const steps: string[] = [];
    const onStep = ({ index, total, latents }: { index: number; total: number; latents: tf.Tensor }) =>
      void steps.push(`${index} of ${total}: ${latents.shape[0]} pictures`);
    const whole = await draw({ numImages: BATCH, onStep });
    const atOnce = [...steps];
    for (const batchSize of [2, 100]) {
      steps.length = 0;
      expect(await draw({ numImages: BATCH, batchSize, onStep })).toEqual(whole);
      expect(steps).toEqual(atOnce);
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it("takes less memory in slices", async () => {
    const peak = async (batchSize: number) => {
      const { peakBytes } = await tf.profile(() => draw({ numImages: 2 * BATCH, batchSize }));
      return peakBytes - tf.memory().numBytes;
    };
    expect(await peak(1)).toBeLessThan(0.9 * (await peak(2 * BATCH)));
  });

  it.each([
    ["one picture", 1, 8],
    ["eight at once", 8, 4],
  ])("knows how much memory %s need at least: what they take, or up to so many times less", async (_, count, most) => {
    const options = { numImages: count, batchSize: count };
    const before = tf.memory();
    const { peakBytes } = await tf.profile(() => draw(options));
    try {
      limitMemory(peakBytes);
      await draw(options);
      limitMemory(before.numBytes + (peakBytes - before.numBytes) / most);
      const refused = draw(options);
      await expect(refused).rejects.toThrow(BackendMemoryError);
      await expect(refused).rejects.toThrow(
        new RegExp(`^Drawing ${count} x .* pixels at once needs about .*; limitMemory allows`),
      );
      expect(tf.memory().numTensors).toBe(before.numTensors);
    } finally {
      limitMemory();
    }
  });
});
