import * as tf from "@tensorflow/tfjs";

/** A weight, a number or a tensor that broadcasts, and what it weighs. */
export type Term = readonly [weight: number | tf.Tensor, tensor: tf.Tensor];

/**
 * The weighted sum of tensors: what nearly every step of every sampler comes down to. Terms of weight 0 are left out
 * (an infinite or missing value there does no harm), those of weight 1 cost no multiplication. The caller owns the result.
 */
export function combine(...terms: readonly Term[]): tf.Tensor {
  return tf.tidy(() => {
    const parts = terms.filter(([weight]) => weight !== 0).map(([weight, x]) => (weight === 1 ? x : x.mul(weight)));
    if (parts.length === 0) return tf.zerosLike(terms[0]![1]);
    return parts.length === 1 ? parts[0]!.clone() : parts.reduce((sum, part) => sum.add(part));
  });
}
