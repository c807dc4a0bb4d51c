import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { decodePng, openPipeline } from "@tfjs-diffusion/core";
import { packagePath } from "./src/package-folder.js";

const PROMPT = "a sad face with black hair";

describe("The minimal program", () => {
  let folder: string;
  const { argv } = process;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "minimal "));
    process.argv = [...argv.slice(0, 2), join(folder, "face.png"), PROMPT];
  });
  afterEach(async () => {
    process.argv = argv;
    await rm(folder, { recursive: true });
  });

  it("draws what the library draws, in at most 40 lines, and leaves no tensors", async () => {
    const before = tf.memory().numTensors;
    await import("./minimal.js");
    expect(tf.memory().numTensors).toBe(before);
    const source = await readFile(packagePath("minimal.ts"), "utf8");
    expect(source.split("\n").length - 1).toBeLessThanOrEqual(40);

    const pipeline = await openPipeline(packagePath("weights", "faces"));
    const drawn = await pipeline.generate({ prompt: PROMPT, numInferenceSteps: 20, guidanceScale: 3, seed: 0 });
    const file = await decodePng(await readFile(join(folder, "face.png")));
    const [got, want] = [file, drawn.images].map((image) => [...image.dataSync()]);
    // A PNG holds 256 levels, and the last bits of 20 steps differ.
    const furthest = Math.max(...got!.map((value, i) => Math.abs(value - want![i]!)));
    expect(got!.length).toBe(want!.length);
    expect(furthest).toBeLessThan(1.5 / 255);
    tf.dispose([file, drawn]);
    pipeline.dispose();
  });
});
