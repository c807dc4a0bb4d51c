import type * as tf from "@tensorflow/tfjs";

/** One call of the network. The tensors are valid until the next step; `clone()` those that you keep. */
export interface PipelineStep<T extends tf.Tensor = tf.Tensor4D> {
  /** Which call, from 0 to `total` - 1. */
  readonly index: number;
  readonly total: number;
  /** The sampler's step that this call is of, from 0 to `steps` - 1. A step of Heun, for example, takes two calls. */
  readonly step: number;
  readonly steps: number;
  /** The timestep that the network was called with. */
  readonly timestep: number;
  /** The sample after this step: latents, or pixels in a pipeline without an autoencoder. */
  readonly latents: T;
  /** The network's output in this step, after guidance; a learned variance is in the second half of its channels. */
  readonly output: T;
  /** The clean sample that `output` implies, not clipped. Computed when it is first read. */
  readonly x0: T;
  /** A picture of `latents`, or of `x0`, to look at, [B, h, w, 3] in [0, 1]; the caller owns it. */
  preview(sample?: T): tf.Tensor4D;
}

/** The result of `generate`; the caller owns both tensors. */
export type Drawn = {
  /** [B, H, W, 3] in [0, 1] */
  images: tf.Tensor4D;
  /** The last sample, from which the images were made. */
  latents: tf.Tensor4D;
};
