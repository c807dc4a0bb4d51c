const { openPipeline, useBackend } = require("@tfjs-diffusion/core");
const { keyedNoise } = require("@tfjs-diffusion/schedulers");
const { portraits } = require("@tfjs-diffusion/portraits");

test("draws", async () => {
  await useBackend("wasm");
  const pipeline = await openPipeline(portraits);
  const { images } = await pipeline.generate({ prompt: "a bald man", numInferenceSteps: 2, noise: keyedNoise(0) });
  expect(images.shape).toEqual([1, 32, 32, 3]);
}, 60_000);
