import { nativeGeglu, nativeGelu, nativeSilu } from "./native/kernels/activations.js";
import { nativeAffine } from "./native/kernels/affine.js";
import { nativeAttention } from "./native/kernels/attention.js";
import { nativeGroupNorm } from "./native/kernels/group-norm.js";
import type { AnyNativeKernel } from "./native/kernels/kernel.js";
import { nativeLayerNorm } from "./native/kernels/layer-norm.js";
import { nativeAdamW } from "./native/kernels/optimizer.js";
import { wasmGeglu, wasmGelu, wasmSilu } from "./wasm/kernels/activations.js";
import { wasmAffine } from "./wasm/kernels/affine.js";
import { wasmAttention } from "./wasm/kernels/attention.js";
import { wasmConv2D } from "./wasm/kernels/conv2d-fused.js";
import { wasmGroupNorm } from "./wasm/kernels/group-norm.js";
import type { AnyWasmKernel } from "./wasm/kernels/kernel.js";
import { wasmLayerNorm } from "./wasm/kernels/layer-norm.js";
import { wasmAdamWInParts, wasmFlatJoin, wasmFlatSplit, wasmMovingAverage } from "./wasm/kernels/optimizer.js";

interface Layer<Kernel> {
  forward: Kernel;
  gradient: Kernel;
}

/**
 * The fused kernels of layers, by the name that a layer passes to `fusedOp` (nn/fused-op.ts). Each has its gradient. If
 * a backend lacks one, the layer uses plain operations.
 */
export const LAYER_KERNELS: Readonly<Record<string, { wasm?: Layer<AnyWasmKernel>; native?: Layer<AnyNativeKernel> }>> =
  {
    Affine: { wasm: wasmAffine, native: nativeAffine },
    Attention: { wasm: wasmAttention, native: nativeAttention },
    Conv2D: { wasm: wasmConv2D },
    Geglu: { wasm: wasmGeglu, native: nativeGeglu },
    Gelu: { wasm: wasmGelu, native: nativeGelu },
    GroupNorm: { wasm: wasmGroupNorm, native: nativeGroupNorm },
    LayerNorm: { wasm: wasmLayerNorm, native: nativeLayerNorm },
    Silu: { wasm: wasmSilu, native: nativeSilu },
  };

/** The fused kernels of a training's updates, by the name that is passed to `runFused`. They have no gradient. */
export const UPDATE_KERNELS: Readonly<Record<string, { wasm?: AnyWasmKernel; native?: AnyNativeKernel }>> = {
  AdamW: { native: nativeAdamW },
  AdamWInParts: { wasm: wasmAdamWInParts },
  FlatJoin: { wasm: wasmFlatJoin },
  FlatSplit: { wasm: wasmFlatSplit },
  MovingAverage: { wasm: wasmMovingAverage },
};

/** All fused kernels of one backend, gradients included, by name. */
export function fusedKernelsFor(backend: "wasm"): Record<string, AnyWasmKernel>;
export function fusedKernelsFor(backend: "native"): Record<string, AnyNativeKernel>;
export function fusedKernelsFor(backend: "wasm" | "native"): Record<string, AnyWasmKernel | AnyNativeKernel> {
  const layers = Object.entries(LAYER_KERNELS).flatMap(([name, { [backend]: form }]) =>
    form ? [[name, form.forward] as const, [`${name}Gradient`, form.gradient] as const] : [],
  );
  const updates = Object.entries(UPDATE_KERNELS).flatMap(([name, { [backend]: form }]) =>
    form ? [[name, form] as const] : [],
  );
  return Object.fromEntries([...layers, ...updates]);
}
