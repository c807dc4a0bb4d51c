import type * as tf from "@tensorflow/tfjs";
import type { WasmBackend } from "../memory.js";

/**
 * tf.clone: the same values under another name, as on the other backends. The stock kernel copies them, and
 * TensorFlow.js clones whatever a gradient may need.
 */
export function identity(stock: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const { x } = call.inputs as { x: tf.TensorInfo };
    if (x.dtype === "string") return stock(call);
    (call.backend as WasmBackend).incRef(x.dataId);
    return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
  };
}
