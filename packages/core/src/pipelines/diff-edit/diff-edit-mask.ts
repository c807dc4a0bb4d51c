import * as tf from "@tensorflow/tfjs";
import { eventLoopTurn } from "../../platform/event-loop.js";

/** Noised pictures, and the network's answers to them. */
export interface DifferenceMaskRequest {
  /** [N, maps, h, w, C]: each picture in so many kinds of noise; borrowed. */
  noisy: tf.Tensor5D;
  /** What the network says of noised pictures [N, h, w, C] for the one text and for the other; runs in a tidy. */
  ask: (x: tf.Tensor4D, map: number) => [tf.Tensor4D, tf.Tensor4D];
  /** In the mask is what differs by more than half of so many times the mean. */
  ratio: number;
  signal: AbortSignal | undefined;
}

/**
 * DiffEdit's mask (Couairon et al. 2023, section 3.2, step 1): where a network's answers for two texts differ, averaged
 * over channels and kinds of noise. [N, h, w, 1] of 0 and 1, which the caller owns; where nothing differs, all 0.
 */
export async function differenceMask({ noisy, ask, ratio, signal }: DifferenceMaskRequest): Promise<tf.Tensor4D> {
  const maps = noisy.shape[1];
  let sum: tf.Tensor3D | undefined;
  try {
    // One after the other: all at once, as published, they take `maps` times the memory.
    for (let map = 0; map < maps; map++) {
      const next = tf.tidy(() => {
        const [a, b] = ask(tf.squeeze<tf.Tensor4D>(noisy.slice([0, map], [-1, 1]), [1]), map);
        const difference = a.sub(b).abs().mean<tf.Tensor3D>(3);
        return sum ? sum.add<tf.Tensor3D>(difference) : difference;
      });
      sum?.dispose();
      sum = next;
      await eventLoopTurn();
      signal?.throwIfAborted();
    }
    return tf.tidy(() => maskOf(sum!, ratio));
  } finally {
    sum?.dispose();
  }
}

function maskOf(difference: tf.Tensor3D, ratio: number): tf.Tensor4D {
  const threshold = difference.mean().mul(ratio / 2);
  return difference.greater(threshold).toFloat().expandDims(3);
}
