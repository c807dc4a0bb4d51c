import { useBackend } from "../backend/index.js";
import { endurance } from "./endurance.js";

// Runs in a browser. Its result is the page's text: what was found, or why nothing was.
const { backend, steps, binary } = (
  globalThis as unknown as { given: { backend: string; steps: number; binary: string } }
).given;
const wasmPaths = {
  "tfjs-backend-wasm.wasm": binary,
  "tfjs-backend-wasm-simd.wasm": binary,
  "tfjs-backend-wasm-threaded-simd.wasm": binary,
};
const show = (result: object) => (document.body.textContent = `result:${JSON.stringify(result)}:end`);
void useBackend(backend, { wasmPaths }).then(
  () =>
    endurance(steps).then(show, (error: Error) => {
      show({ failure: error.stack });
    }),
  (error: Error) => show({ none: error.message }),
);
