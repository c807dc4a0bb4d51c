import * as tf from "@tensorflow/tfjs";

/** What `body` computes, as a constant: no gradient flows through it, and nothing of it is kept for one. */
export function withoutGradient<T extends tf.Tensor>(body: () => T): T {
  const constant = tf.customGrad((nothing) => ({ value: body(), gradFunc: () => tf.zerosLike(nothing as tf.Tensor) }));
  return constant(tf.scalar(0));
}
