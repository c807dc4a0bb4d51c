import * as tf from "@tensorflow/tfjs";
import { customGradient } from "./custom-gradient.js";

/** The kernel's name in TensorFlow.js, whose own names have no dot. */
export function fusedKernelName(name: string): string {
  return `diffusion.${name}`;
}

/**
 * Runs the fused kernel `name` if the current backend has it, and `plain()` otherwise, which computes the same with
 * operations of TensorFlow.js. All kernels are listed in backend/fused-kernels.ts.
 *
 * The kernel returns the value, followed by the tensors that its gradient needs besides the inputs. The gradient's
 * kernel gets the inputs, these tensors as "saved0", "saved1" ..., and "dy", and returns one gradient for each input.
 * With `savesValue`, "saved0" is the value.
 */
export function fusedOp(
  name: string,
  inputs: Record<string, tf.Tensor>,
  attributes: Record<string, number | boolean>,
  plain: () => tf.Tensor,
  savesValue = false,
): tf.Tensor {
  const tensors = Object.values(inputs);
  if (!hasFusedKernel(name) || tensors.some(({ dtype, size }) => dtype !== "float32" || size === 0)) return plain();
  // Variables outlive the gradient's computation. A tidy may free the other inputs before, so these are saved.
  const kept = Object.keys(inputs).filter((key) => !(inputs[key] instanceof tf.Variable));
  return customGradient(
    tensors,
    () => {
      const results = runFused(name, inputs, attributes);
      return { value: results[0]!, saved: [...kept.map((key) => inputs[key]!), ...results.slice(savesValue ? 0 : 1)] };
    },
    (dy, saved: tf.Tensor[]) => {
      const names = [...kept, ...saved.slice(kept.length).map((_, i) => `saved${i}`)];
      const given = Object.fromEntries(names.map((key, i) => [key, saved[i]!]));
      return runFused(`${name}Gradient`, { ...inputs, ...given, dy }, attributes);
    },
  );
}

/** Whether the current backend has the fused kernel `name`. */
export function hasFusedKernel(name: string): boolean {
  return tf.getKernel(fusedKernelName(name), tf.getBackend()) !== undefined;
}

/**
 * Runs a fused kernel of the current backend. The inputs have names, or are a list where there can be any number of
 * them. The caller owns the results.
 */
export function runFused(
  name: string,
  inputs: Record<string, tf.Tensor> | tf.Tensor[],
  attributes: Record<string, number | boolean | number[][]> = {},
): tf.Tensor[] {
  return tf.engine().runKernel(fusedKernelName(name), inputs as tf.NamedTensorMap, attributes);
}
