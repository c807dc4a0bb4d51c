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
