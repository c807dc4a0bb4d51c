import * as tf from "@tensorflow/tfjs";
import { fusedKernelName } from "../../nn/fused-op.js";
import { registerRecorder } from "../../nn/recorded.js";
import { fusedKernelsFor } from "../fused-kernels.js";
import type { NativeBackend } from "./binding.js";
import { NativeOps } from "./ops.js";
import type { GraphFile } from "./recording/graph.js";
import { GraphRecorder } from "./recording/recorder.js";

/**
 * Gives the native backend kernels that join several operations, and lets it run whole networks as graphs. `graphFile`
 * writes these for TensorFlow to read.
 */
export function completeNativeBackend(graphFile: GraphFile): void {
  registerRecorder("tensorflow", new GraphRecorder(graphFile));
  for (const [name, kernel] of Object.entries(fusedKernelsFor("native"))) {
    const kernelName = fusedKernelName(name);
    if (tf.getKernel(kernelName, "tensorflow")) continue;
    tf.registerKernel({
      kernelName,
      backendName: "tensorflow",
      kernelFunc: ({ inputs, attrs, backend }) =>
        NativeOps.evaluate(backend as NativeBackend, (ops) => {
          const [names, taken] = [Object.keys(inputs), ops.take(Object.values(inputs) as tf.TensorInfo[])];
          const tensors = Object.fromEntries(names.map((name, i) => [name, taken[i]!]));
          return kernel(ops, tensors as never, attrs as never);
        }),
    });
  }
}
