import * as tf from "@tensorflow/tfjs";
import { addressOf, type WasmBackend } from "../memory.js";
import type { SimdKernels } from "../simd-kernels.js";

/** tf.split: cuts x along `axis` into parts of equal or given sizes. */
export function splitV(simd: SimdKernels, stock: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
    const { x } = call.inputs as { x: tf.Tensor };
    const { numOrSizeSplits, axis } = call.attrs as { numOrSizeSplits: number | number[]; axis: number };
    if (x.dtype !== "float32" && x.dtype !== "int32") return stock(call);
    const [along] = tf.util.parseAxisParam(axis, x.shape) as [number];
    const outer = x.shape.slice(0, along).reduce((product, size) => product * size, 1);
    const row = outer === 0 ? 0 : (x.size / outer) * 4;
    const dtype = x.dtype;
    let from = 0;
    return tf.backend_util.prepareSplitSize(x, numOrSizeSplits, along).map((size) => {
      const part = backend.makeOutput(
        x.shape.map((whole, i) => (i === along ? size : whole)),
        dtype,
      );
      const bytes = x.shape[along] === 0 ? 0 : (row / x.shape[along]!) * size;
      simd.copyRows(addressOf(backend, x) + from, row, addressOf(backend, part), bytes, bytes, outer);
      from += bytes;
      return part;
    });
  };
}
