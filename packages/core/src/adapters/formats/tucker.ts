import * as tf from "@tensorflow/tfjs";

/**
 * A kernel by Tucker's decomposition (Tucker 1966) over its two axes of channels:
 *
 *     kernel[p, r, y, x] = sum_ij core[i, j, y, x] left[i, p] right[j, r]
 *
 * core: [I, J, height, width], left: [I, out], right: [J, in] -> [out, in, height, width]
 */
export function tucker(core: tf.Tensor, left: tf.Tensor2D, right: tf.Tensor2D): tf.Tensor {
  const [rankOut, rankIn, ...kernel] = core.shape as [number, number, ...number[]];
  const [out, channels] = [left.shape[1], right.shape[1]];
  const size = tf.util.sizeFromShape(kernel);
  return tf.tidy(() => {
    const half = tf.matMul(left.transpose<tf.Tensor2D>(), core.reshape([rankOut, rankIn * size]));
    const rows = half.reshape([out, rankIn, size]).transpose([0, 2, 1]);
    const whole = tf.matMul(rows.reshape<tf.Tensor2D>([out * size, rankIn]), right);
    return whole
      .reshape([out, size, channels])
      .transpose([0, 2, 1])
      .reshape([out, channels, ...kernel]);
  });
}

/** The shape of {@link tucker}'s result; undefined if the factors do not fit each other. */
export function tuckerShape(
  core: readonly number[],
  left: readonly number[],
  right: readonly number[],
): number[] | undefined {
  const [rankOut, rankIn, ...kernel] = core;
  const fits = left.length === 2 && right.length === 2 && left[0] === rankOut && right[0] === rankIn;
  return fits ? [left[1]!, right[1]!, ...kernel] : undefined;
}
