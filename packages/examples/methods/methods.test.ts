import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { edmLoss, preconditioned, TrainingInterruptedError } from "@tfjs-diffusion/core/training";
import { keyedNoise, keyedRandom } from "@tfjs-diffusion/schedulers";
import { guidedMethods } from "./guidance.js";
import { PLANE_SETS } from "./plane/sets.js";
import { slicedDistance } from "./plane/sliced-distance.js";
import { planeSubject } from "./plane/study.js";
import { learn, type Lesson, type StudyRun } from "./learn.js";
import { allMethods } from "./methods.js";

beforeAll(() => useBackend("wasm"));

const moons = PLANE_SETS["moons"]!;

describe("The sets of the plane", () => {
  it.each(Object.entries(PLANE_SETS))("lie in [-1, 1], near deviation 0.5, with all classes: %s", (_, set) => {
    const random = keyedRandom(0);
    const points = Array.from({ length: 4000 }, () => set.draw(random));
    const numbers = points.flatMap(({ at }) => [...at]);
    expect(numbers.filter((x) => Math.abs(x) > 1).length).toBeLessThan(20);
    const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
    const deviation = Math.sqrt(numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length);
    expect(Math.abs(deviation - 0.5)).toBeLessThan(0.13);
    expect(new Set(points.map(({ label }) => label)).size).toBe(set.classes);
  });
});

describe("The sliced distance", () => {
  const circle = Array.from({ length: 500 }, (_, i) => [Math.cos(i), Math.sin(i)]);

  it("is 0 to the same points in another order, and 2 / pi times the way to moved ones", () => {
    expect(slicedDistance(circle, [...circle].reverse())).toBe(0);
    // Seen from all sides, a move of 1 is 2 / pi long on average.
    const moved = circle.map(([x, y]) => [x! + 1, y!]);
    expect(slicedDistance(circle, moved)).toBeCloseTo(2 / Math.PI, 3);
  });

  it("refuses sets of two sizes", () => {
    expect(() => slicedDistance(circle, circle.slice(1))).toThrow("500 and 499 points");
  });
});

describe("A training in the plane", () => {
  const lesson: Lesson<tf.Tensor2D> = {
    name: "edm",
    timeScale: 1,
    width: 16,
    loss: (network, { x0, noise }) =>
      edmLoss({ denoise: preconditioned<tf.Tensor2D>((x, told) => network.forward(x, told)), x0, noise }),
  };
  const weightsOf = async (run: StudyRun<tf.Tensor2D>) => {
    const network = await learn(run, lesson);
    const values = [...network.parameters().values()].flatMap((variable) => [...variable.dataSync()]);
    network.dispose();
    return values;
  };

  it("that was stopped ends with the weights of one that was not, and frees what it makes", async () => {
    const folder = mkdtempSync(join(tmpdir(), "plane-"));
    const run: StudyRun<tf.Tensor2D> = { subject: planeSubject(moons), steps: 12, batchSize: 8, seed: 1 };
    try {
      const before = tf.memory().numTensors;
      const whole = await weightsOf(run);
      const stop = new AbortController();
      const stopping = {
        ...lesson,
        loss: (...[network, batch]: Parameters<Lesson<tf.Tensor2D>["loss"]>) => {
          if (batch.step === 5) stop.abort();
          return lesson.loss(network, batch);
        },
      };
      await expect(learn({ ...run, folder, signal: stop.signal }, stopping)).rejects.toThrow(TrainingInterruptedError);
      expect(await weightsOf({ ...run, folder })).toEqual(whole);
      // Finished: the same again, from the checkpoint.
      expect(await weightsOf({ ...run, folder })).toEqual(whole);
      expect(tf.memory().numTensors).toBe(before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("works for every method, whose drawers give samples and free what they make", async () => {
    const before = tf.memory().numTensors;
    const run: StudyRun<tf.Tensor2D> = { subject: planeSubject(moons), steps: 4, batchSize: 8, seed: 1 };
    const names: string[] = [];
    for await (const { name, draw } of allMethods(run)) {
      names.push(name);
      const start = keyedNoise(0).normal([16, 2]) as tf.Tensor2D;
      const held = tf.memory().numTensors;
      for (const calls of [1, 2]) {
        const drawn = draw(start, calls, keyedNoise(1));
        expect(drawn?.shape ?? [16, 2]).toEqual([16, 2]);
        drawn?.dispose();
      }
      expect(tf.memory().numTensors).toBe(held);
      start.dispose();
    }
    expect(names).toHaveLength(9);
    for await (const { name, draw } of guidedMethods(run)) {
      names.push(name);
      const held = tf.memory().numTensors;
      const drawn = draw([0, 1, 1]);
      expect(drawn.shape).toEqual([3, 2]);
      drawn.dispose();
      expect(tf.memory().numTensors).toBe(held);
    }
    expect(names).toHaveLength(13);
    expect(tf.memory().numTensors).toBe(before);
  });
});
