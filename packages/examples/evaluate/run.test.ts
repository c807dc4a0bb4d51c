import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { decodePng, useBackend } from "@tfjs-diffusion/core";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { faceExample, FACES, visible, type Face } from "../datasets/faces/index.js";
import type { EvaluationSettings, FaceReader, Sampler } from "./context.js";
import { promptsOf } from "./prompts.js";
import { reportMarkdown } from "./report.js";
import { bestSetting, evaluateFaces, type CellScores } from "./run.js";
import { ResultStore } from "./store.js";

beforeAll(() => useBackend("wasm"));

const SETTINGS: EvaluationSettings = {
  kind: FACES,
  guidances: [1, 3],
  steps: [20],
  gridPrompts: 6,
  prompts: 8,
  seeds: [0, 1],
  batch: 5,
  trainingSeed: 0,
  trainingPictures: 30,
};

/** The face and the real picture of each caption of the evaluation. */
const asked = new Map<string, { face: Face; real: Uint8Array }>();
const shown = new Map<string, Partial<Face>>();
for (const purpose of ["choosing", "reporting"] as const) {
  for (const split of ["seen", "held-out"] as const) {
    for (const style of ["full", "short"] as const) {
      for (const prompt of promptsOf({ purpose, split, style }, 8)) {
        asked.set(prompt.text, prompt);
        shown.set(prompt.real.join(), visible(prompt.face));
      }
    }
  }
}
for (let i = 0; i < 88; i++) {
  const { face, pixels } = faceExample(i, { seed: SETTINGS.trainingSeed, split: "train" });
  shown.set(pixels.join(), visible(face));
}
const reader: FaceReader = {
  async read(pixels) {
    const values = pixels.dataSync();
    return Array.from({ length: pixels.shape[0] }, (_, i) =>
      shown.get(Array.from(values.subarray(i * 768, (i + 1) * 768), (v) => Math.round((v + 1) * 127.5)).join())!,
    );
  },
};
/** Draws the caption's face at guidance 3. At guidance 1, and without a prompt, it always draws the same face. */
const sampler: Sampler = async (captions, { guidance }) => {
  const same = faceExample(0, { seed: SETTINGS.trainingSeed, split: "train" }).pixels;
  const bytes = captions.map((text) => (guidance === 3 ? asked.get(text)!.real : same));
  return tf.tensor4d(
    Float32Array.from(
      bytes.flatMap((b) => [...b]),
      (byte) => byte / 255,
    ),
    [captions.length, 16, 16, 3],
  );
};
const folder = mkdtempSync(join(tmpdir(), "eval-run-"));
afterAll(() => rmSync(folder, { recursive: true }));
let stores = 0;
const newStore = () => new ResultStore(join(folder, String(stores++), "results.json"), "fake");

describe("the evaluation of faces", () => {
  it("gives a perfect sampler perfect scores, chooses its guidance, and frees every tensor", async () => {
    const before = tf.memory().numTensors;
    const results = await evaluateFaces({ sample: sampler, classifier: reader, settings: SETTINGS, store: newStore() });
    expect(tf.memory().numTensors).toBe(before);
    expect(results.chosen).toEqual({ guidance: 3, steps: 20 });
    expect(results.reported.map(({ scores }) => scores.allRight.share)).toEqual([1, 1, 1, 1]);
    const unguided = results.grid.filter(({ guidance, style }) => guidance === 1 && style === "full");
    expect(unguided.map(({ scores }) => scores.allRight.share)).toEqual([0, 0]);
    expect(results.pictures.nearest.generated).toEqual(results.pictures.nearest.real);
    expect(results.pictures.nearPalette.generated).toBe(results.pictures.nearPalette.real);
    expect(results.unconditional.shares.hat).toHaveProperty(faceExample(0, { seed: 0, split: "train" }).face.hat, 1);

    const sheet = await decodePng(Buffer.from(results.pictures.sheet, "base64"));
    expect(sheet.shape[1]).toBeGreaterThanOrEqual(16 * 16 * 4);
    sheet.dispose();
    const report = reportMarkdown(results, SETTINGS, { backend: "wasm", command: "a command" });
    expect(report).toContain(
      "| held-out, full | 100.0 % (100.0–100.0) | 100.0 % (100.0–100.0) | 100.0 % (100.0–100.0) |",
    );
    expect(report).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("resumes after a stop without drawing anything twice", async () => {
    const store = newStore();
    let drawn = 0;
    const counting: Sampler = (captions, options) => {
      if ((drawn += captions.length) > 30) throw new Error("stopped");
      return sampler(captions, options);
    };
    await expect(evaluateFaces({ sample: counting, classifier: reader, settings: SETTINGS, store })).rejects.toThrow(
      "stopped",
    );
    drawn = -Infinity;
    const seen: string[] = [];
    const listing: Sampler = (captions, options) => {
      seen.push(...captions.map((text) => `${text} ${options.guidance} ${options.seed}`));
      return sampler(captions, options);
    };
    await evaluateFaces({
      sample: listing,
      classifier: reader,
      settings: SETTINGS,
      store: new ResultStore(store.path, "fake"),
    });
    const first = promptsOf({ purpose: "choosing", split: "seen", style: "full" }, 1)[0]!.text;
    expect(seen.some((text) => text.startsWith(`${first} 1 `))).toBe(false);
  });
});

describe("the best setting", () => {
  const cell = (guidance: number, steps: number, share: number) =>
    ({ guidance, steps, scores: { mean: { share } } }) as unknown as CellScores;
  it("has the best mean over all kinds of prompts", () => {
    expect(bestSetting([cell(1, 20, 0.9), cell(1, 20, 0.5), cell(3, 20, 0.8), cell(3, 20, 0.8)])).toEqual({
      guidance: 3,
      steps: 20,
    });
  });
  it("has the fewest steps of two that are equally good", () => {
    expect(bestSetting([cell(3, 50, 0.9), cell(3, 20, 0.9)])).toEqual({ guidance: 3, steps: 20 });
  });
  it("does not take more steps for less than a tenth of a percent", () => {
    expect(bestSetting([cell(3, 50, 0.9005), cell(3, 20, 0.9), cell(1, 20, 0.8996)])).toEqual({
      guidance: 3,
      steps: 20,
    });
    expect(bestSetting([cell(3, 50, 0.902), cell(3, 20, 0.9)])).toEqual({ guidance: 3, steps: 50 });
  });
});
