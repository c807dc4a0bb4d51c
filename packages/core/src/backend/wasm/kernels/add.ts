import type * as tf from "@tensorflow/tfjs";
import { sizeOf } from "./fused.js";
import { addressOf, type WasmBackend } from "../memory.js";
import type { SimdKernels } from "../simd-kernels.js";

/**
 * tf.add: float32 tensors of one shape, or one whose run of axes of size 1 is repeated; all else stays with `stock`.
 */
export function add(simd: SimdKernels, stock: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
    const { a, b } = call.inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
    if (a.dtype !== "float32" || b.dtype !== "float32") return stock(call);
    const [x, other] = sizeOf(a.shape) < sizeOf(b.shape) ? [b, a] : [a, b];
    const repeated = repetition(x.shape, other.shape);
    if (!repeated) return stock(call);
    const { blocks, rows, size } = repeated;
    const y = backend.makeOutput(x.shape, "float32");
    simd.add(addressOf(backend, x), addressOf(backend, other), blocks, rows, size, addressOf(backend, y));
    return y;
  };
}

/** x as [blocks, rows, size] where the other shape is [blocks, 1, size], leading axes of 1 being left out or not. */
function repetition(x: number[], other: number[]) {
  if (other.length > x.length || sizeOf(x) === 0) return undefined;
  const full = [...Array<number>(x.length - other.length).fill(1), ...other];
  const isRepeated = full.map((size, i) => size !== x[i]);
  const first = isRepeated.indexOf(true);
  if (first === -1) return { blocks: 1, rows: 1, size: sizeOf(x) };
  const end = isRepeated.lastIndexOf(true) + 1;
  if (!full.slice(first, end).every((size) => size === 1)) return undefined;
  return { blocks: sizeOf(x.slice(0, first)), rows: sizeOf(x.slice(first, end)), size: sizeOf(x.slice(end)) };
}
