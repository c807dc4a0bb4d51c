import plain from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import simd from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";
import threaded from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url";
import { openPipeline, useBackend } from "@tfjs-diffusion/core";
import { portraits } from "@tfjs-diffusion/portraits";

const wasmPaths = {
  "tfjs-backend-wasm.wasm": plain,
  "tfjs-backend-wasm-simd.wasm": simd,
  "tfjs-backend-wasm-threaded-simd.wasm": threaded,
};

const began = performance.now();
try {
  const { name, passedOver } = await useBackend(undefined, { wasmPaths });
  const pipeline = await openPipeline(portraits);
  const { images } = await pipeline.generate({ prompt: "a bald man", numInferenceSteps: 2, seed: 0 });
  const pixels = await images.data();
  const seconds = (performance.now() - began) / 1000;
  postMessage({ name, passedOver, shape: images.shape, first: pixels[0], seconds });
} catch (error) {
  postMessage({ error: String(error) });
}
