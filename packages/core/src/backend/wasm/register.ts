import * as tf from "@tensorflow/tfjs";
import { fusedKernelName } from "../../nn/fused-op.js";
import { registerRecorder } from "../../nn/recorded.js";
import { fusedKernelsFor } from "../fused-kernels.js";
import { replaceKernel } from "../replace-kernel.js";
import { WasmContext } from "./context.js";
import { add } from "./kernels/add.js";
import { concat } from "./kernels/concat.js";
import { conv2D, conv2DBackpropFilter, conv2DBackpropInput } from "./kernels/conv2d.js";
import { erf } from "./kernels/erf.js";
import { identity } from "./kernels/identity.js";
import type { WasmTfKernel } from "./kernels/kernel.js";
import { batchMatMul } from "./kernels/mat-mul.js";
import { reduction, softmax } from "./kernels/reduce.js";
import { resizeNearestNeighborGrad } from "./kernels/resize.js";
import { unsortedSegmentSum } from "./kernels/segment-sum.js";
import { splitV } from "./kernels/split.js";
import type { WasmBackend } from "./memory.js";
import { guardMemory } from "./memory-guard.js";
import { ReplayRecorder } from "./recording/recorder.js";
import { loadSimd } from "./simd.js";

/** Our kernels for operations of TensorFlow.js, by its own names. */
export const TF_KERNELS: Readonly<Record<string, WasmTfKernel>> = {
  [tf.Add]: add,
  [tf.BatchMatMul]: batchMatMul,
  [tf.Concat]: concat,
  [tf.Conv2D]: conv2D,
  [tf.Conv2DBackpropFilter]: conv2DBackpropFilter,
  [tf.Conv2DBackpropInput]: conv2DBackpropInput,
  [tf.Erf]: erf,
  [tf.Identity]: identity,
  [tf.Mean]: reduction(true),
  [tf.ResizeNearestNeighborGrad]: resizeNearestNeighborGrad,
  [tf.Softmax]: softmax,
  [tf.SplitV]: splitV,
  [tf.Sum]: reduction(false),
  [tf.UnsortedSegmentSum]: unsortedSegmentSum,
};

/** Backends on which all are registered: `useBackend("wasm")` may be called again. */
const completed = new WeakSet<object>();

/** Registers the kernels that the running wasm backend lacks, or has only in a slow form. */
export async function completeWasmBackend(threads: number): Promise<void> {
  const backend = tf.backend() as WasmBackend;
  if (completed.has(backend)) return;
  const simd = await loadSimd(backend, threads);
  registerKernels(new WasmContext(backend, simd.functions, simd.threads));
  guardMemory(backend);
  registerRecorder("wasm", new ReplayRecorder());
  completed.add(backend);
}

/** Registers all our kernels, to run in this context. */
export function registerKernels(wasm: WasmContext): void {
  for (const [kernelName, kernel] of Object.entries(TF_KERNELS)) {
    replaceKernel("wasm", kernelName, (stock) => kernel(wasm, stock));
  }
  for (const [name, kernel] of Object.entries(fusedKernelsFor("wasm"))) {
    replaceKernel("wasm", fusedKernelName(name), () => ({ inputs, attrs }) => {
      return kernel(wasm, inputs as never, attrs as never);
    });
  }
}
