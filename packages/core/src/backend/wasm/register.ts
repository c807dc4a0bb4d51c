import * as tf from "@tensorflow/tfjs";
import { replaceKernel } from "../replace-kernel.js";
import { conv2D, conv2DBackpropFilter, conv2DBackpropInput } from "./conv2d.js";
import { erf } from "./erf.js";
import { batchMatMul } from "./mat-mul.js";
import type { WasmBackend } from "./memory.js";
import { reduction, softmax } from "./reduce.js";
import { unsortedSegmentSum } from "./segment-sum.js";
import { loadSimd, type SimdKernels } from "./simd.js";
import { splitV } from "./split.js";

/** Our kernels for the wasm backend, by the name TensorFlow.js calls them; `stock` is the one it brings, if any. */
const KERNELS: Record<string, (simd: SimdKernels, stock: tf.KernelFunc, threads: number) => tf.KernelFunc> = {
  // Ours are quicker on one thread; the stock convolution and plain 2-D product run on all of them.
  [tf.Conv2D]: (simd, stock, threads) => (threads > 1 ? stock : conv2D(simd, stock)),
  [tf.Conv2DBackpropFilter]: conv2DBackpropFilter,
  [tf.Conv2DBackpropInput]: conv2DBackpropInput,
  [tf.Erf]: erf,
  [tf.Mean]: reduction(true),
  [tf.Softmax]: softmax,
  [tf.SplitV]: splitV,
  [tf.Sum]: reduction(false),
  [tf.UnsortedSegmentSum]: () => unsortedSegmentSum,
  [tf.BatchMatMul]: batchMatMul,
};

/** Backends that are complete already: `useBackend("wasm")` may be called again. */
const completed = new WeakSet<object>();

/** Gives the running wasm backend the kernels that it lacks, or has only in a slow form. */
export async function completeWasmBackend(threads: number): Promise<void> {
  const backend = tf.backend() as WasmBackend;
  if (completed.has(backend)) return;
  const simd = await loadSimd(backend);
  for (const [kernelName, build] of Object.entries(KERNELS)) {
    replaceKernel("wasm", kernelName, (stock) => build(simd, stock, threads));
  }
  completed.add(backend);
}
