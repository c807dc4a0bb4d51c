import * as tf from "@tensorflow/tfjs";

const stockKernels = new Map<string, tf.KernelConfig | undefined>();

/**
 * Registers our kernel for a backend, in place of the backend's own kernel, if it has one. `build` receives that
 * kernel, or a function that throws if there is none.
 */
export function replaceKernel(
  backendName: string,
  kernelName: string,
  build: (stock: tf.KernelFunc) => tf.KernelFunc,
): void {
  const key = `${backendName} ${kernelName}`;
  const found = tf.getKernel(kernelName, backendName);
  if (!stockKernels.has(key)) stockKernels.set(key, found);
  const stock = stockKernels.get(key);
  if (found) tf.unregisterKernel(kernelName, backendName);
  const kernelFunc = build(stock?.kernelFunc ?? missing(kernelName, backendName));
  // The set-up of the backend's own kernel is kept: it runs when a backend of this name is created again.
  tf.registerKernel({ ...stock, kernelName, backendName, kernelFunc });
}

function missing(kernelName: string, backendName: string): tf.KernelFunc {
  return () => {
    throw new Error(`The ${backendName} backend has no kernel ${kernelName}. Use TensorFlow.js 4.22, which has it.`);
  };
}
