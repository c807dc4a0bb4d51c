import * as tf from "@tensorflow/tfjs";

/**
 * Peak signal-to-noise ratio of each picture in decibels, -10 log10(mean squared error / range²); both [B, H, W, C] in
 * [-1, 1], borrowed.
 */
export async function peakSignalToNoise(pictures: tf.Tensor4D, others: tf.Tensor4D): Promise<number[]> {
  // The range is 2, its square 4.
  const errors = tf.tidy(() => pictures.sub(others).square().mean([1, 2, 3]).div(4));
  const values = await errors.data();
  errors.dispose();
  return Array.from(values, (error) => -10 * Math.log10(error));
}

export interface Moments {
  readonly mean: number;
  readonly deviation: number;
}

/**
 * Mean and standard deviation of latents, given as several tensors [..., channels]: of all numbers, and of each
 * channel.
 */
export function latentStatistics(
  pieces: readonly Float32Array[],
  channels: number,
): Moments & { readonly channels: Moments[] } {
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  let count = 0;
  for (const piece of pieces) {
    piece.forEach((value, i) => {
      sums[i % channels]! += value;
      squares[i % channels]! += value ** 2;
    });
    count += piece.length / channels;
  }
  const moments = (sum: number, square: number, n: number): Moments => ({
    mean: sum / n,
    deviation: Math.sqrt(Math.max(0, square / n - (sum / n) ** 2)),
  });
  const total = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);
  return {
    ...moments(total(sums), total(squares), count * channels),
    channels: Array.from(sums, (sum, c) => moments(sum, squares[c]!, count)),
  };
}
