import { openPipeline, useBackend } from "@tfjs-diffusion/core";

// Folders beside the scripts, with copies of the installed packages' files.
const wasmPaths = new URL("./wasm/", import.meta.url).href;

const began = performance.now();
try {
  const { name, passedOver } = await useBackend(undefined, { wasmPaths });
  const pipeline = await openPipeline(new URL("./portraits", import.meta.url));
  const { images } = await pipeline.generate({ prompt: "a bald man", numInferenceSteps: 2, seed: 0 });
  const pixels = await images.data();
  const seconds = (performance.now() - began) / 1000;
  postMessage({ name, passedOver, shape: images.shape, first: pixels[0], seconds });
} catch (error) {
  postMessage({ error: String(error) });
}
