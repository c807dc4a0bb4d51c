import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "./fused.js";
import { addressOf, type WasmBackend } from "../memory.js";
import type { SimdKernels } from "../simd-kernels.js";

/** tf.concat: the reverse of tf.split. */
export function concat(simd: SimdKernels, stock: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
    const parts = Object.values(call.inputs) as tf.TensorInfo[];
    const { dtype, shape } = parts[0]!;
    if ((dtype !== "float32" && dtype !== "int32") || parts.some((part) => part.dtype !== dtype)) return stock(call);
    const [along] = tf.util.parseAxisParam((call.attrs as { axis: number }).axis, shape) as [number];
    const shapes = parts.map((part) => part.shape);
    tf.backend_util.assertParamsConsistent(shapes, along);
    const joined = backend.makeOutput(tf.backend_util.computeOutShape(shapes, along), dtype);
    const outer = sizeOf(shape.slice(0, along));
    const bytesOf = (whole: number[]) => 4 * sizeOf(whole.slice(along));
    const row = bytesOf(joined.shape);
    let to = addressOf(backend, joined);
    for (const part of parts) {
      const bytes = bytesOf(part.shape);
      simd.copyRows(addressOf(backend, part), bytes, to, row, bytes, outer);
      to += bytes;
    }
    return joined;
  };
}
