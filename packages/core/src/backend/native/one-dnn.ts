import type { Attribute, Binding } from "./binding.js";

/**
 * Kernels of oneDNN in TensorFlow's builds for x86 (tensorflow/core/kernels/mkl), each with its registered label. They
 * are two to three times as fast, but TensorFlow itself calls them in graphs only.
 */
const KERNELS = { _MklLayerNorm: "", _MklSoftmax: "MklNameChangeOp", _MklSwish: "" };

export type OneDnnKernel = keyof typeof KERNELS;

/** For each library, whether each kernel runs. */
const found = new WeakMap<Binding, Map<OneDnnKernel, boolean>>();

/**
 * Whether this build of TensorFlow has `kernel`, for the processor. It is tried once, on a tensor of zeros. On a
 * graphics card, where tensors would be copied to the processor and back, there is none.
 */
export function hasOneDnn(binding: Binding, kernel: OneDnnKernel): boolean {
  if (binding.isUsingGpuDevice()) return false;
  const known = found.get(binding) ?? new Map<OneDnnKernel, boolean>();
  found.set(binding, known);
  if (!known.has(kernel)) known.set(kernel, runs(binding, kernel));
  return known.get(kernel)!;
}

/** The attribute that selects it. */
export function oneDnnLabel(binding: Binding, kernel: OneDnnKernel): Attribute {
  return { name: "_kernel", type: binding.TF_ATTR_STRING, value: KERNELS[kernel] };
}

function runs(binding: Binding, kernel: OneDnnKernel): boolean {
  const zeros = (shape: number[]) => binding.createTensor(shape, binding.TF_FLOAT, new Float32Array(2));
  const inputs = kernel === "_MklLayerNorm" ? [zeros([1, 2]), zeros([2]), zeros([2])] : [zeros([1, 2])];
  const numbers = { name: "T", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT };
  try {
    for (const { id } of binding.executeOp(kernel, [numbers, oneDnnLabel(binding, kernel)], inputs, 1)) {
      binding.deleteTensor(id);
    }
    return true;
  } catch {
    return false; // TensorFlow for another CPU, or another version
  } finally {
    for (const id of inputs) binding.deleteTensor(id);
  }
}
