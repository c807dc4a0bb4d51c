import { existsSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { beforeAll, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useTestBackend } from "../../testing/backend.js";
import { tinyTextToImage } from "../../testing/tiny-text-to-image.js";
import { PixelDiffusionPipeline } from "../pixels/pixel-diffusion.js";

beforeAll(useTestBackend);

it("After dispose, drawing, stepping and saving say that the pipeline was disposed of, and leave nothing", async () => {
  const before = tf.memory().numTensors;
  const pipeline = new PixelDiffusionPipeline(tinyTextToImage());
  tf.dispose(await pipeline.generate({ prompt: "a", numInferenceSteps: 1 }));
  pipeline.dispose();
  pipeline.dispose();
  const folder = join(tmpdir(), `disposed-${process.pid}`);
  for (const attempt of [
    () => pipeline.generate({ prompt: "a", numInferenceSteps: 1 }),
    () => pipeline.steps({ prompt: "a", numInferenceSteps: 1 }).next(),
    () => pipeline.savePretrained(folder),
  ]) {
    const error: unknown = await attempt().catch((error: unknown) => error);
    expect(error).toMatchObject({
      name: "MissingWeightsError",
      message: expect.stringContaining("disposed of: its weights are freed. Load it again"),
    });
  }
  expect(existsSync(folder)).toBe(false);
  expect(tf.memory().numTensors).toBe(before);
});
