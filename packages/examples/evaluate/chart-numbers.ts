import * as tf from "@tensorflow/tfjs";

/**
 * How vivid pictures are: the mean over all pixels of the brightest channel less the darkest. Pictures [B, H, W, 3] in
 * [0, 1]; in [0, 1].
 */
export function saturation(images: tf.Tensor4D): number {
  return numberOf(() => images.max(3).sub(images.min(3)).mean());
}

/**
 * How much pictures of one description differ: the root mean square distance of each from their mean picture, 1 being
 * from black to white.
 */
export function diversity(images: tf.Tensor4D): number {
  return numberOf(() => images.sub(images.mean(0)).square().mean().sqrt());
}

/** Root mean square distance of two batches of pictures. */
export function distance(a: tf.Tensor4D, b: tf.Tensor4D): number {
  return numberOf(() => a.sub(b).square().mean().sqrt());
}

/** The mean of some numbers. */
export const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function numberOf(compute: () => tf.Tensor): number {
  const result = tf.tidy(compute);
  const [value] = result.dataSync();
  result.dispose();
  return value!;
}
