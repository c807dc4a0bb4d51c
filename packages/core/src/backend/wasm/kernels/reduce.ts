import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "./fused.js";
import { addressOf, type WasmBackend } from "../memory.js";
import type { SimdKernels } from "../simd-kernels.js";

/** tf.sum and, with `mean`, tf.mean: x [...] -> x without `axis`, or with sizes of 1 there where keepDims. */
export function reduction(mean: boolean) {
  return (simd: SimdKernels, stock: tf.KernelFunc): tf.KernelFunc =>
    (call) => {
      const backend = call.backend as WasmBackend;
      const { x } = call.inputs as { x: tf.TensorInfo };
      const { axis, keepDims } = call.attrs as { axis: number | number[]; keepDims: boolean };
      const axes = tf.util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
      const first = axes[0] ?? 0;
      const isOneRun = axes.length > 0 && axes.every((value, i) => value === first + i);
      if (x.dtype !== "float32" || !isOneRun) return stock(call);
      const outer = sizeOf(x.shape.slice(0, first));
      const count = sizeOf(x.shape.slice(first, first + axes.length));
      const inner = sizeOf(x.shape.slice(first + axes.length));
      const kept = x.shape.map((size, i) => (axes.includes(i) ? 1 : size));
      const output = backend.makeOutput(keepDims ? kept : kept.filter((_, i) => !axes.includes(i)), "float32");
      simd.sumOver(addressOf(backend, x), outer, count, inner, mean ? 1 / count : 1, addressOf(backend, output));
      return output;
    };
}

/** tf.softmax over the last axis. */
export function softmax(simd: SimdKernels): tf.KernelFunc {
  return ({ inputs, backend: untyped }) => {
    const backend = untyped as WasmBackend;
    const { logits } = inputs as { logits: tf.TensorInfo };
    const output = backend.makeOutput(logits.shape, "float32");
    const count = logits.shape.at(-1) ?? 1;
    if (count > 0)
      simd.softmax(addressOf(backend, logits), sizeOf(logits.shape) / count, count, addressOf(backend, output));
    return output;
  };
}
