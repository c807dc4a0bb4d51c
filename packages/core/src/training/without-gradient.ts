import * as tf from "@tensorflow/tfjs";

/** The result of `body` as a constant: no gradient flows through it, and no intermediate tensors are kept. */
export function withoutGradient<T extends tf.Tensor>(body: () => T): T {
  const constant = tf.customGrad((nothing) => ({ value: body(), gradFunc: () => tf.zerosLike(nothing as tf.Tensor) }));
  return constant(tf.scalar(0));
}
