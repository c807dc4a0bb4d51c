import * as tf from "@tensorflow/tfjs";

/**
 * Maps pixels from [-1, 1], the range of the networks, to [0, 1], the range of pictures, and clips values outside. The
 * caller owns the result.
 */
export function toUnit<T extends tf.Tensor>(x: T): T {
  return tf.tidy(() => x.add(1).div(2).clipByValue(0, 1) as T);
}
