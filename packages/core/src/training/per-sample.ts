import * as tf from "@tensorflow/tfjs";

/** One number a sample as [B, 1, ...], to scale samples [B, ...] of this rank. The caller owns it. */
export function perSample(numbers: readonly number[], rank: number): tf.Tensor {
  return tf.tensor([...numbers], [numbers.length, ...Array<number>(rank - 1).fill(1)]);
}
