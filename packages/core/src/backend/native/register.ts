import * as tf from "@tensorflow/tfjs";
import { fusedKernelName } from "../../nn/fused-op.js";
import { registerRecorder } from "../../nn/recorded.js";
import { geglu, gegluGradient, gelu, geluGradient, silu, siluGradient } from "./kernels/activations.js";
import { affine, affineGradient } from "./kernels/affine.js";
import { attention, attentionGradient } from "./kernels/attention.js";
import type { Shelf } from "./recording/graph.js";
import { groupNorm, groupNormGradient } from "./kernels/group-norm.js";
import { layerNorm, layerNormGradient } from "./kernels/layer-norm.js";
import { adamW } from "./kernels/optimizer.js";
import type { NativeBackend, Raw } from "./binding.js";
import { RawOps } from "./raw.js";
import { GraphRecorder } from "./recording/recorder.js";

/** What `fusedOp` looks for: several of TensorFlow's operations at a time. */
const KERNELS: Record<string, (ops: RawOps, inputs: never, attributes: never) => Raw[]> = {
  AdamW: adamW,
  Affine: affine,
  AffineGradient: affineGradient,
  Attention: attention,
  AttentionGradient: attentionGradient,
  Geglu: geglu,
  GegluGradient: gegluGradient,
  Gelu: gelu,
  GeluGradient: geluGradient,
  GroupNorm: groupNorm,
  GroupNormGradient: groupNormGradient,
  LayerNorm: layerNorm,
  LayerNormGradient: layerNormGradient,
  Silu: silu,
  SiluGradient: siluGradient,
};

/**
 * Gives the native backend the kernels that join several operations, and lets it run whole networks as graphs, which
 * `shelf` lays down.
 */
export function completeNativeBackend(shelf: Shelf): void {
  registerRecorder("tensorflow", new GraphRecorder(shelf));
  for (const [name, kernel] of Object.entries(KERNELS)) {
    const kernelName = fusedKernelName(name);
    if (tf.getKernel(kernelName, "tensorflow")) continue;
    tf.registerKernel({
      kernelName,
      backendName: "tensorflow",
      kernelFunc: ({ inputs, attrs, backend }) =>
        RawOps.evaluate(backend as NativeBackend, (ops) => {
          const [names, taken] = [Object.keys(inputs), ops.take(Object.values(inputs) as tf.TensorInfo[])];
          const raws = Object.fromEntries(names.map((name, i) => [name, taken[i]!]));
          return kernel(ops, raws as never, attrs as never);
        }),
    });
  }
}
