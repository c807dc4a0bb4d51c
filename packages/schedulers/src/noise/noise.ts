import type * as tf from "@tensorflow/tfjs";

/**
 * A source of random tensors. It is a stream: each call continues where the last one stopped. The caller owns the
 * results.
 */
export interface NoiseSource {
  /** Standard normal numbers. */
  normal(shape: number[]): tf.Tensor;
  /** Uniform numbers in [0, 1). */
  uniform(shape: number[]): tf.Tensor;
}
