// Draws in a worker, so that the page stays responsive, and reports what came.
import plain from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import simd from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";
import threaded from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url";
import { WorkerClient } from "@tfjs-diffusion/core/worker";
import { portraits } from "@tfjs-diffusion/portraits";

const report = (found) => fetch("/report", { method: "POST", body: JSON.stringify(found) });
const wasmPaths = {
  "tfjs-backend-wasm.wasm": plain,
  "tfjs-backend-wasm-simd.wasm": simd,
  "tfjs-backend-wasm-threaded-simd.wasm": threaded,
};

try {
  const began = performance.now();
  const client = new WorkerClient(new Worker(new URL("./worker.js", import.meta.url), { type: "module" }));
  const { backend } = await client.call("load", { from: portraits, wasmPaths });
  const { pictures } = await client.call("draw", { prompt: "a bald man", numInferenceSteps: 2, seed: 0 });
  const [{ width, height }] = pictures;
  const seconds = (performance.now() - began) / 1000;
  report({ ...backend, shape: [pictures.length, height, width, 3], seconds });
} catch (error) {
  report({ error: String(error) });
}
