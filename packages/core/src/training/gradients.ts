import * as tf from "@tensorflow/tfjs";
import { isRefusedPromise } from "../platform/refused-promise.js";

/**
 * The value of `loss` and its gradient for every parameter, by the parameter's name. A parameter that the loss does not
 * depend on is left out. The caller owns the tensors.
 *
 * @throws TypeError unless the loss is a scalar
 */
export function parameterGradients(
  loss: () => tf.Scalar,
  parameters: ReadonlyMap<string, tf.Variable>,
): { loss: tf.Scalar; gradients: Record<string, tf.Tensor> } {
  const nameOf = new Map([...parameters].map(([name, variable]) => [variable.name, name]));
  const { value, grads } = tf.variableGrads(() => requireScalar(loss()), [...parameters.values()]);
  const gradients: Record<string, tf.Tensor> = {};
  for (const [variable, gradient] of Object.entries(grads)) {
    if (gradient) gradients[nameOf.get(variable)!] = gradient;
  }
  return { loss: value, gradients };
}

function requireScalar(loss: unknown): tf.Scalar {
  if (loss instanceof tf.Tensor && loss.rank === 0) return loss as tf.Scalar;
  const given = loss instanceof tf.Tensor ? `a tensor [${(loss as tf.Tensor).shape.join(", ")}]` : String(loss);
  const remedy = isRefusedPromise(loss) ? "; it must not be asynchronous" : "";
  throw new TypeError(`The loss is ${given}; return a scalar, such as the mean of all errors${remedy}.`);
}

/** Euclidean norm of all tensors taken as one vector; the caller owns it. */
export function globalNorm(tensors: readonly tf.Tensor[]): tf.Scalar {
  return tf.tidy(() => tf.addN(tensors.map((tensor) => tensor.square().sum())).sqrt() as tf.Scalar);
}

/**
 * Factor that scales a gradient of norm `norm` down to `maxNorm`; 1 if it is short enough. As in
 * `torch.nn.utils.clip_grad_norm_`, the denominator has 1e-6 added.
 */
export function clipFactor(norm: number, maxNorm: number): number {
  requireMaxNorm(maxNorm);
  return Math.min(1, maxNorm / (norm + 1e-6));
}

function requireMaxNorm(maxNorm: number): void {
  if (!(maxNorm > 0))
    throw new RangeError(`Gradients cannot be clipped to length ${maxNorm}: give a positive number, such as 1.`);
}

/**
 * Scales all gradients by one factor, so that their global norm is at most `maxNorm`. Also returns their norm before.
 * Borrows `gradients`; the caller owns the result.
 *
 * @throws RangeError unless `maxNorm` is positive
 */
export function clipGradients(
  gradients: Readonly<Record<string, tf.Tensor>>,
  maxNorm: number,
): { gradients: Record<string, tf.Tensor>; norm: tf.Scalar } {
  requireMaxNorm(maxNorm);
  return tf.tidy(() => {
    const norm = globalNorm(Object.values(gradients));
    // As clipFactor, without reading the norm: a graphics card may not be readable at once.
    const factor = tf.minimum(1, tf.div(maxNorm, norm.add(1e-6)));
    const clipped = Object.entries(gradients).map(([name, gradient]) => [name, gradient.mul(factor)] as const);
    return { gradients: Object.fromEntries(clipped), norm };
  });
}
