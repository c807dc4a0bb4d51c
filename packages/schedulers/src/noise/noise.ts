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
  /**
   * The order of axes in which the source's own program draws pictures, if it is not ours: [B, C, H, W]. Pipelines draw
   * so, and swap the axes: see channelsLast. `normal` and `uniform` themselves draw the shape that they are given.
   */
  readonly layout?: "channels-first";
}
