const tf = require("@tensorflow/tfjs");
const { openPipeline, useBackend } = require("@tfjs-diffusion/core");
const { keyedNoise } = require("@tfjs-diffusion/schedulers");
const { portraits } = require("@tfjs-diffusion/portraits");

async function draw() {
  await useBackend("wasm");
  const pipeline = await openPipeline(portraits);
  const drawn = await pipeline.generate({ prompt: "a bald man", numInferenceSteps: 2, noise: keyedNoise(0) });
  if (String(drawn.images.shape) !== "1,32,32,3") throw new Error(String(drawn.images.shape));
  tf.dispose(drawn);
  pipeline.dispose();
}

draw();
