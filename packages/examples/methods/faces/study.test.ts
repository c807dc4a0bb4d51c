import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { openPipeline, useBackend } from "@tfjs-diffusion/core";
import type { DDIMPipeline } from "@tfjs-diffusion/core/pipelines";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { guidedMethods } from "../guidance.js";
import type { StudyRun } from "../learn.js";
import type { Study } from "../study.js";
import { facesStudy } from "./study.js";

let study: Study<tf.Tensor4D>;
let folder: string;
beforeAll(async () => {
  await useBackend("wasm");
  study = await facesStudy(0);
  folder = mkdtempSync(join(tmpdir(), "faces "));
});
afterAll(() => {
  study.dispose();
  rmSync(folder, { recursive: true });
});

describe("The faces, as a subject of all methods", () => {
  it("are told by the hat that the classifier reads, and are near other faces", async () => {
    const { x0, labels } = study.subject.batch(250, keyedNoise(0));
    expect(new Set(labels)).toEqual(new Set([0, 1, 2, 3]));
    const bare = labels.flatMap((label, i) => (label === 0 ? [i] : []));
    const faces = tf.gather(x0, bare);
    const [, , , right] = await study.measureClass(0, faces);
    expect(right).toBeGreaterThan(0.99);
    const [near, far] = [await study.distance(x0), await study.distance(x0.neg())];
    expect(near).toBeLessThan(far / 10);
    tf.dispose([x0, faces]);
  });

  it("are drawn by class, by a network that is saved as a folder", async () => {
    const before = tf.memory().numTensors;
    const run: StudyRun<tf.Tensor4D> = { subject: study.subject, steps: 2, batchSize: 4, seed: 1 };
    for await (const { name, network, draw } of guidedMethods(run)) {
      const drawn = draw([0, 1, 2, 3]);
      expect(drawn.shape).toEqual([4, 16, 16, 3]);
      if (name === "no guidance") {
        await study.saveNetwork!(network, folder);
        const pipeline = (await openPipeline(folder)) as DDIMPipeline;
        expect(pipeline.input).toBe("class");
        const start = keyedNoise(run.seed).at("guided").at("start").normal([4, 16, 16, 3]) as tf.Tensor4D;
        const again = await pipeline.generate({ classLabels: [0, 1, 2, 3], numInferenceSteps: 32, latents: start });
        // The folder holds half precision.
        const difference = tf.tidy(() => again.latents.sub(drawn).abs().max().dataSync()[0]!);
        const size = tf.tidy(() => drawn.abs().max().dataSync()[0]!);
        expect(difference).toBeLessThan(0.02 * size);
        tf.dispose([start, again.images, again.latents]);
        pipeline.dispose();
      }
      drawn.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
