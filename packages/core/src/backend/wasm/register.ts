import * as tf from "@tensorflow/tfjs";
import { replaceKernel } from "../replace-kernel.js";
import { fusedKernelName } from "../../nn/fused-op.js";
import { registerRecorder } from "../../nn/recorded.js";
import { elementwise, elementwiseGradient, geglu, gegluGradient } from "./kernels/activations.js";
import { add } from "./kernels/add.js";
import { affine, affineGradient } from "./kernels/affine.js";
import { attention, attentionGradient } from "./kernels/attention.js";
import { fusedConv2D, fusedConv2DGradient } from "./kernels/conv2d-fused.js";
import { concat } from "./kernels/concat.js";
import { conv2D, conv2DBackpropFilter, conv2DBackpropInput } from "./kernels/conv2d.js";
import { erf } from "./kernels/erf.js";
import { Place } from "./kernels/fused.js";
import { groupNorm, groupNormGradient } from "./kernels/group-norm.js";
import { identity } from "./kernels/identity.js";
import { layerNorm, layerNormGradient } from "./kernels/layer-norm.js";
import { batchMatMul } from "./kernels/mat-mul.js";
import type { WasmBackend } from "./memory.js";
import { adamWInParts, flatJoin, flatSplit, movingAverage } from "./kernels/optimizer.js";
import { ReplayRecorder } from "./recording/recorder.js";
import { reduction, softmax } from "./kernels/reduce.js";
import { resizeNearestNeighborGrad } from "./kernels/resize.js";
import { unsortedSegmentSum } from "./kernels/segment-sum.js";
import { loadSimd } from "./simd.js";
import type { SimdKernels } from "./simd-kernels.js";
import { splitV } from "./kernels/split.js";

/** Our kernels for the wasm backend, by the name TensorFlow.js calls them; `stock` is the one it brings, if any. */
const KERNELS: Record<string, (simd: SimdKernels, stock: tf.KernelFunc) => tf.KernelFunc> = {
  [tf.Add]: add,
  [tf.Concat]: concat,
  [tf.Conv2D]: conv2D,
  [tf.Conv2DBackpropFilter]: conv2DBackpropFilter,
  [tf.Conv2DBackpropInput]: conv2DBackpropInput,
  [tf.Erf]: erf,
  [tf.Identity]: (_, stock) => identity(stock),
  [tf.Mean]: reduction(true),
  [tf.ResizeNearestNeighborGrad]: resizeNearestNeighborGrad,
  [tf.Softmax]: softmax,
  [tf.SplitV]: splitV,
  [tf.Sum]: reduction(false),
  [tf.UnsortedSegmentSum]: () => unsortedSegmentSum,
  [tf.BatchMatMul]: batchMatMul,
};

/** Kernels that do the work of several: what `fusedOp` looks for. */
const FUSED: Record<string, (place: Place, inputs: never, attributes: never) => tf.TensorInfo[]> = {
  AdamWInParts: adamWInParts,
  Affine: affine,
  AffineGradient: affineGradient,
  Attention: attention,
  AttentionGradient: attentionGradient,
  Conv2D: fusedConv2D,
  Conv2DGradient: fusedConv2DGradient,
  FlatJoin: flatJoin,
  FlatSplit: flatSplit,
  Geglu: geglu,
  GegluGradient: gegluGradient,
  Gelu: elementwise(({ simd }) => simd.gelu),
  GeluGradient: elementwiseGradient(({ simd }) => simd.geluGradient),
  GroupNorm: groupNorm,
  GroupNormGradient: groupNormGradient,
  LayerNorm: layerNorm,
  LayerNormGradient: layerNormGradient,
  MovingAverage: movingAverage,
  Silu: elementwise(({ simd }) => simd.silu),
  SiluGradient: elementwiseGradient(({ simd }) => simd.siluGradient),
};

/** Backends that are complete already: `useBackend("wasm")` may be called again. */
const completed = new WeakSet<object>();

/** Gives the running wasm backend the kernels that it lacks, or has only in a slow form. */
export async function completeWasmBackend(threads: number): Promise<void> {
  const backend = tf.backend() as WasmBackend;
  if (completed.has(backend)) return;
  const simd = await loadSimd(backend, threads);
  for (const [kernelName, build] of Object.entries(KERNELS)) {
    replaceKernel("wasm", kernelName, (stock) => build(simd, stock));
  }
  const place = new Place(simd, backend);
  for (const [name, kernel] of Object.entries(FUSED)) {
    replaceKernel(
      "wasm",
      fusedKernelName(name),
      () =>
        ({ inputs, attrs }) =>
          kernel(place, inputs as never, attrs as never),
    );
  }
  registerRecorder("wasm", new ReplayRecorder());
  completed.add(backend);
}
