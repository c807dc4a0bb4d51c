import * as tf from "@tensorflow/tfjs";
import { eventLoopTurn } from "../../platform/event-loop.js";
import { inSlices, type Slice } from "../drawing/slices.js";

/** The arguments of {@link differenceMask}. */
export interface DifferenceMaskRequest {
  /** Noisy latents [N, maps, h, w, C]: each picture with `maps` different noises; borrowed. */
  noisy: tf.Tensor5D;
  /**
   * The network's outputs for a slice of noisy latents [N, h, w, C], with the source and with the target prompts; runs
   * in a tidy.
   */
  ask: (x: tf.Tensor4D, map: number, slice: Slice) => [tf.Tensor4D, tf.Tensor4D];
  /** Most pictures that `ask` gets at once. */
  atOnce: number;
  /** The threshold is half of `ratio` times the mean difference. */
  ratio: number;
  signal: AbortSignal | undefined;
}

/**
 * DiffEdit's mask (Couairon et al. 2023, section 3.2, step 1): 1 where the network's outputs for two prompts differ,
 * averaged over channels and noises. Returns [N, h, w, 1] of 0 and 1, which the caller owns; all 0 if nothing differs.
 */
export async function differenceMask(request: DifferenceMaskRequest): Promise<tf.Tensor4D> {
  const { noisy, ask, atOnce, ratio, signal } = request;
  const maps = noisy.shape[1];
  const differenceOf = (map: number) => (part: tf.Tensor5D, slice: Slice) => {
    const [a, b] = ask(tf.squeeze<tf.Tensor4D>(part.slice([0, map], [-1, 1]), [1]), map, slice);
    return a.sub(b).abs().mean<tf.Tensor3D>(3);
  };
  let sum: tf.Tensor3D | undefined;
  try {
    // One after the other. A single batch, as in diffusers, would take `maps` times the memory.
    for (let map = 0; map < maps; map++) {
      const difference = await inSlices(noisy, differenceOf(map), { atOnce, signal });
      const next: tf.Tensor3D = sum ? sum.add(difference) : difference.clone();
      tf.dispose([difference, sum ?? []]);
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
