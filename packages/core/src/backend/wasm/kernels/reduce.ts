import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import { ELEMENTWISE, type WasmContext } from "../context.js";
import { FLOAT_BYTES } from "../memory.js";
import type { WasmTfKernel } from "./kernel.js";

/** tf.sum and, with `mean`, tf.mean: x [...] -> x without `axis`, or with size 1 there if keepDims is set. */
export function reduction(mean: boolean): WasmTfKernel {
  return (wasm, stock) => (call) => {
    const { x } = call.inputs as { x: tf.TensorInfo };
    const { axis, keepDims } = call.attrs as { axis: number | number[]; keepDims: boolean };
    const axes = tf.util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
    const first = axes[0] ?? 0;
    const areNeighbours = axes.length > 0 && axes.every((value, i) => value === first + i);
    if (x.dtype !== "float32" || !areNeighbours) return stock(call);
    const outer = sizeOf(x.shape.slice(0, first));
    const count = sizeOf(x.shape.slice(first, first + axes.length));
    const inner = sizeOf(x.shape.slice(first + axes.length));
    const kept = x.shape.map((size, i) => (axes.includes(i) ? 1 : size));
    const output = wasm.output(keepDims ? kept : kept.filter((_, i) => !axes.includes(i)));
    sumOver(wasm, { input: wasm.address(x), outer, count, inner, scale: mean ? 1 / count : 1 }, wasm.address(output));
    return output;
  };
}

/** The most sums that are added up from the sums of parts; adding up more would take as long as the threads save. */
const MOST_SUMS = 4096;

/** An address of numbers [outer, count, inner], summed over `count` and then scaled -> [outer, inner]. */
export function sumOver(
  wasm: WasmContext,
  { input, outer, count, inner, scale = 1 }: Record<"input" | "outer" | "count" | "inner", number> & { scale?: number },
  output: number,
): void {
  if (outer !== 1 || inner > MOST_SUMS) {
    wasm.run("sumOver", { count: outer, work: 4 * count * inner }, ({ from, size }) => [
      input + FLOAT_BYTES * count * inner * from,
      size,
      count,
      inner,
      scale,
      output + FLOAT_BYTES * inner * from,
    ]);
    return;
  }
  const sums = { sums: [output], length: inner };
  wasm.runAndSum("sumOver", { count, work: 4 * inner }, sums, ({ from, size }, [sumsPart]) => [
    input + FLOAT_BYTES * inner * from,
    1,
    size,
    inner,
    scale,
    sumsPart!,
  ]);
}

/** x [..., C] -> [C], as the gradient of a bias. */
export function sumRows(wasm: WasmContext, x: tf.TensorInfo, shape: number[]): tf.TensorInfo {
  const sums = wasm.output(shape);
  const inner = shape[0]!;
  sumOver(wasm, { input: wasm.address(x), outer: 1, count: sizeOf(x.shape) / inner, inner }, wasm.address(sums));
  return sums;
}

/** tf.softmax over the last axis. */
export const softmax: WasmTfKernel = (wasm) => (call) => {
  const { logits } = call.inputs as { logits: tf.TensorInfo };
  const output = wasm.output(logits.shape);
  const count = logits.shape.at(-1) ?? 1;
  if (count === 0) return output;
  wasm.run("softmax", { count: sizeOf(logits.shape) / count, work: ELEMENTWISE * count }, ({ from, size }) => [
    wasm.address(logits, count * from),
    size,
    count,
    wasm.address(output, count * from),
  ]);
  return output;
};
