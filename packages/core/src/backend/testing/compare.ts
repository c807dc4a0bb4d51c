import * as tf from "@tensorflow/tfjs";

/** Plain copies of a tensor, independent of any backend. */
export interface Values {
  shape: number[];
  values: Float32Array | Int32Array;
}

/** Uniform in [-1, 1), from a small generator (mulberry32): the same for the same seed. */
export function uniformValues(shape: number[], seed: number): Values {
  const values = new Float32Array(tf.util.sizeFromShape(shape));
  let state = seed | 0;
  for (let i = 0; i < values.length; i++) {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    values[i] = ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  }
  return { shape, values };
}

/** Runs `compute` on the backend `registeredAs` and returns copies of its results; checks that nothing leaks. */
export async function computeOn(
  registeredAs: string,
  inputs: Values[],
  compute: (...tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[],
): Promise<Values[]> {
  await tf.setBackend(registeredAs);
  const before = tf.memory().numTensors;
  const results = tf.tidy(() => {
    const tensors = inputs.map(({ shape, values }) =>
      tf.tensor(values, shape, values instanceof Int32Array ? "int32" : "float32"),
    );
    const returned = compute(...tensors);
    return (Array.isArray(returned) ? returned : [returned]).map((tensor) => ({
      shape: tensor.shape,
      values: tensor.dataSync() as Float32Array,
    }));
  }) as unknown as Values[];
  if (tf.memory().numTensors !== before)
    throw new Error(`${tf.memory().numTensors - before} tensors leaked on ${registeredAs}`);
  return results;
}

/** Largest absolute difference; Infinity if shapes differ or a value is not a number. */
export function largestDifference(a: Values, b: Values): number {
  if (a.shape.join() !== b.shape.join()) return Infinity;
  let largest = 0;
  for (const [i, value] of a.values.entries()) {
    const difference = Math.abs(value - b.values[i]!);
    largest = difference <= largest ? largest : Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}

/**
 * The largest expected difference of two float32 sums of `terms` products of numbers up to 1, added in different
 * orders: each of `terms` additions rounds a partial sum, about sqrt(terms)/3 large, by at most 2^-24 of it; three
 * deviations of that random walk stay below 2^-24 * terms, plus one rounding of the result.
 */
export function sumTolerance(terms: number): number {
  return 2 ** -24 * (terms + 2);
}
