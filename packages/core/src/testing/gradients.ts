import * as tf from "@tensorflow/tfjs";
import type { Model } from "../models/model.js";
import type { Golden } from "./fixture.js";

/** Loss, and its gradient for every parameter by the parameter's name. The caller owns them. */
export function gradientsByName(
  model: Model,
  loss: () => tf.Scalar,
): { loss: tf.Scalar; gradients: Record<string, tf.Tensor> } {
  const parameters = model.parameters();
  const { value, grads } = tf.variableGrads(loss, [...parameters.values()]);
  const gradients = Object.fromEntries([...parameters].map(([name, variable]) => [name, grads[variable.name]!]));
  return { loss: value, gradients };
}

/**
 * Relative error of each gradient that the fixture has. Key biases are left out and only checked to be tiny: a softmax
 * ignores what is added to every key, so their gradient is 0 and what is computed is rounding noise.
 */
export function gradientErrors(
  model: Model,
  golden: Golden,
  gradients: Record<string, tf.Tensor>,
): Map<string, number> {
  const parameters = model.namedParameters();
  if (golden.names("grad.").length !== parameters.size) throw new Error("The fixture does not cover every parameter.");
  const errors = new Map<string, number>();
  for (const [name, parameter] of parameters) {
    const gradient = gradients[name]!;
    if (/\.(to_k|k_proj)\.bias$/.test(name)) {
      const largest = tf.tidy(() => gradient.abs().max().dataSync()[0]!);
      errors.set(name, largest < 1e-6 ? 0 : largest);
    } else errors.set(name, golden.parameterError(`grad.${name}`, parameter, gradient));
  }
  return errors;
}
