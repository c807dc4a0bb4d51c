import { openPipeline, useBackend } from "@tfjs-diffusion/core";
import { portraits } from "@tfjs-diffusion/portraits";

const wasmPaths = {
  "tfjs-backend-wasm.wasm": new URL("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm", import.meta.url).href,
  "tfjs-backend-wasm-simd.wasm": new URL(
    "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm",
    import.meta.url,
  ).href,
  "tfjs-backend-wasm-threaded-simd.wasm": new URL(
    "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm",
    import.meta.url,
  ).href,
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
