import * as tf from "@tensorflow/tfjs";

/** Options of {@link peakSignalToNoise} and {@link structuralSimilarity}. */
export interface SimilarityOptions {
  /** Largest value minus smallest that a picture may have. Default 2, for pictures in [-1, 1]. */
  range?: number;
}

/**
 * Peak signal-to-noise ratio of each picture in decibels, 10 log10(range^2 / mean squared error); Infinity for equal
 * pictures. Both [B, H, W, C], borrowed.
 *
 * @throws RangeError if the shapes differ
 */
export async function peakSignalToNoise(
  pictures: tf.Tensor4D,
  others: tf.Tensor4D,
  { range = 2 }: SimilarityOptions = {},
): Promise<number[]> {
  requirePictures("peakSignalToNoise", pictures, others, range);
  const errors = tf.tidy(() => pictures.sub(others).square().mean([1, 2, 3]));
  const values = await errors.data();
  errors.dispose();
  return Array.from(values, (error) => 10 * Math.log10(range ** 2 / error));
}

/** Width and deviation of the Gaussian window, and the constants K1 and K2 (Wang et al. 2004, section III B). */
const [WINDOW, DEVIATION, K1, K2] = [11, 1.5, 0.01, 0.03];

/**
 * Structural similarity of each picture, at most 1 (Wang et al. 2004, eq. 13): luminance, contrast and structure
 * compared in Gaussian windows that lie inside the picture, then the mean over windows and channels. Both [B, H, W, C]
 * with H and W at least 11, borrowed.
 *
 * @throws RangeError if the shapes differ or the pictures are smaller than the window
 */
export async function structuralSimilarity(
  pictures: tf.Tensor4D,
  others: tf.Tensor4D,
  { range = 2 }: SimilarityOptions = {},
): Promise<number[]> {
  requirePictures("structuralSimilarity", pictures, others, range);
  const [batch, height, width, channels] = pictures.shape;
  if (Math.min(height, width) < WINDOW) {
    throw new RangeError(`structuralSimilarity: pictures of ${width} x ${height} pixels; the window needs ${WINDOW}.`);
  }
  const similarities = tf.tidy(() => {
    const planes = (x: tf.Tensor4D) =>
      x.transpose([0, 3, 1, 2]).reshape<tf.Tensor4D>([batch * channels, height, width, 1]);
    const [x, y] = [planes(pictures), planes(others)];
    const [meanX, meanY] = [blur(x), blur(y)];
    const varianceX = blur(x.square()).sub(meanX.square());
    const varianceY = blur(y.square()).sub(meanY.square());
    const covariance = blur(x.mul(y)).sub(meanX.mul(meanY));
    const [c1, c2] = [(K1 * range) ** 2, (K2 * range) ** 2];
    const luminance = meanX.mul(meanY).mul(2).add(c1).div(meanX.square().add(meanY.square()).add(c1));
    const structure = covariance.mul(2).add(c2).div(varianceX.add(varianceY).add(c2));
    return luminance.mul(structure).reshape([batch, -1]).mean(1);
  });
  const values = await similarities.data();
  similarities.dispose();
  return [...values];
}

/** The mean in each window that lies inside the picture. [N, H, W, 1] -> [N, H - 10, W - 10, 1] */
function blur(x: tf.Tensor4D): tf.Tensor4D {
  const middle = (WINDOW - 1) / 2;
  const bell = Array.from({ length: WINDOW }, (_, i) => Math.exp(-((i - middle) ** 2) / (2 * DEVIATION ** 2)));
  const total = bell.reduce((sum, value) => sum + value, 0);
  const line = tf.tensor1d(bell.map((value) => value / total));
  const down = tf.conv2d(x, line.reshape<tf.Tensor4D>([WINDOW, 1, 1, 1]), 1, "valid");
  return tf.conv2d(down, line.reshape<tf.Tensor4D>([1, WINDOW, 1, 1]), 1, "valid");
}

function requirePictures(name: string, pictures: tf.Tensor4D, others: tf.Tensor4D, range: number): void {
  if (!tf.util.arraysEqual(pictures.shape, others.shape) || pictures.rank !== 4) {
    throw new RangeError(
      `${name}: pictures are [${pictures.shape.join(", ")}] and [${others.shape.join(", ")}]; give two batches [B, H, W, C] of the same shape.`,
    );
  }
  if (!(range > 0)) throw new RangeError(`${name}: range is ${range}; give 2 for pictures in [-1, 1], 1 for [0, 1].`);
}
