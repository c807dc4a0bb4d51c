import * as tf from "@tensorflow/tfjs";

const stockKernels = new Map<string, tf.KernelConfig | undefined>();

/**
 * Registers our form of a kernel for a backend, in place of the one the backend brings, if any.
 * `build` is given the backend's own, which throws when called where there is none.
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
  // The stock kernel's set-up is kept: it runs when a backend of this name is made anew.
  tf.registerKernel({ ...stock, kernelName, backendName, kernelFunc });
}

function missing(kernelName: string, backendName: string): tf.KernelFunc {
  return () => {
    throw new Error(`The ${backendName} backend has no kernel ${kernelName}; that of TensorFlow.js 4.22 has.`);
  };
}
