import type * as tf from "@tensorflow/tfjs";

/** One call of the network in a drawing. Its tensors are lent until the next step; `clone()` what you keep. */
export interface PipelineStep<T extends tf.Tensor = tf.Tensor4D> {
  /** Counts from 0 to `total` - 1. */
  readonly index: number;
  readonly total: number;
  /** The timestep that the network was asked about. */
  readonly timestep: number;
  /** What is sampled, after this step. */
  readonly latents: T;
  /** What the network said in this step, after guidance; a learned variance is in the second half of its channels. */
  readonly output: T;
  /** The clean sample that `output` implies, not limited in any way. Computed when it is first read. */
  readonly x0: T;
  /** A picture of `latents` to look at, [B, h, w, 3] in [0, 1]; the caller owns it. */
  preview(): tf.Tensor4D;
}

/** What `generate` gives; the caller owns both tensors. */
export type Drawn = {
  /** [B, H, W, 3] in [0, 1] */
  images: tf.Tensor4D;
  /** What was sampled last, and the images were made from. */
  latents: tf.Tensor4D;
};
