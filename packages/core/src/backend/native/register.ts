import * as tf from "@tensorflow/tfjs";
import { fusedKernelName } from "../../nn/fused-op.js";
import { registerRecorder } from "../../nn/recorded.js";
import { fusedKernelsFor } from "../fused-kernels.js";
import type { NativeBackend } from "./binding.js";
import { guardNativeMemory } from "./memory-guard.js";
import { NativeOps } from "./ops.js";
import type { GraphFile } from "./recording/graph.js";
import { GraphRecorder } from "./recording/recorder.js";

/**
 * Registers kernels that fuse several operations with the native backend, lets it run whole networks as graphs, and
 * makes a full memory a typed error. `graphFile` writes the graphs to files, from which TensorFlow reads them.
 */
export function completeNativeBackend(graphFile: GraphFile): void {
  guardNativeMemory(tf.findBackend("tensorflow") as NativeBackend);
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
