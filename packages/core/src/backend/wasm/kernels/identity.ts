import type * as tf from "@tensorflow/tfjs";
import type { WasmTfKernel } from "./kernel.js";

/**
 * tf.clone: another tensor of the same data, as on the other backends. The stock kernel copies the numbers, and
 * TensorFlow.js clones every tensor that a gradient may need.
 */
export const identity: WasmTfKernel = (wasm, stock) => (call) => {
  const { x } = call.inputs as { x: tf.TensorInfo };
  return x.dtype === "string" ? stock(call) : wasm.share(x);
};
