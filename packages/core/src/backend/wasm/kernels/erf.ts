import type * as tf from "@tensorflow/tfjs";
import { addressOf, type WasmBackend } from "../memory.js";
import type { SimdKernels } from "../simd-kernels.js";

/** tf.erf: any shape in, the same shape out. */
export function erf(simd: SimdKernels, stock: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
    const { x } = call.inputs as { x: tf.Tensor };
    if (x.dtype !== "float32") return stock(call);
    const output = backend.makeOutput(x.shape, "float32");
    simd.erf(addressOf(backend, x), x.size, addressOf(backend, output));
    return output;
  };
}
