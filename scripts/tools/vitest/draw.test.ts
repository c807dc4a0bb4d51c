import { openPipeline, useBackend } from "@tfjs-diffusion/core";
import { portraits } from "@tfjs-diffusion/portraits";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { expect, test } from "vitest";

test("draws", async () => {
  await useBackend("wasm");
  const pipeline = await openPipeline(portraits);
  const { images } = await pipeline.generate({ prompt: "a bald man", numInferenceSteps: 2, noise: keyedNoise(0) });
  expect(images.shape).toEqual([1, 32, 32, 3]);
}, 60_000);
