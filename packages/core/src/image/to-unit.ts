import * as tf from "@tensorflow/tfjs";

/**
 * Pixels from [-1, 1], where networks work, to [0, 1], where pictures are kept; what lies outside is clipped. The
 * caller owns the result.
 */
export function toUnit<T extends tf.Tensor>(x: T): T {
  return tf.tidy(() => x.add(1).div(2).clipByValue(0, 1) as T);
}
