import * as tf from "@tensorflow/tfjs";

/**
 * How vivid pictures are: the brightest channel minus the darkest, as a mean over all pixels. Pictures [B, H, W, 3] in
 * [0, 1]; in [0, 1].
 */
export function saturation(images: tf.Tensor4D): number {
  return numberOf(() => images.max(3).sub(images.min(3)).mean());
}

/**
 * How much pictures of one caption differ: the root mean square distance from their mean picture. The distance from
 * black to white is 1.
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
