import * as tf from "@tensorflow/tfjs";
import { combine } from "../combine.js";
import { type KeyedNoise, keyedNoise } from "./keyed-noise.js";
import type { NoiseSource } from "./noise.js";

/** Noise as a path W(t): samplers with different steps get the same noise from the same seed. */
export interface BrownianNoise extends NoiseSource {
  /** W(to) - W(from), of variance |to - from|; the caller owns it. */
  increment(shape: number[], from: number, to: number): tf.Tensor;
}

const DEPTH = 24; // Number of halvings; they resolve times in [0, 1] to 6e-8, the precision of float32.

/**
 * A Brownian path between two times (Li et al. 2020, virtual Brownian tree): W is drawn at the ends; then the midpoint
 * of an interval is drawn from the Brownian bridge, repeatedly, until the interval around the time is small enough.
 * Pure: W(t) depends only on seed, times and shape.
 *
 * Used as a plain `NoiseSource`, it is `keyedNoise(seed)`.
 *
 * @throws RangeError unless start < end, and for increments outside these times
 */
export function brownianNoise(seed: number, start: number, end: number): BrownianNoise {
  if (!(Number.isFinite(start) && Number.isFinite(end) && start < end)) {
    throw new RangeError(
      `brownianNoise: the path goes from ${start} to ${end}; give two ascending times, such as sigma_min and sigma_max.`,
    );
  }
  const tree = keyedNoise(seed).at("brownian tree");
  const stream = keyedNoise(seed);
  const valueAt = (shape: number[], t: number): tf.Tensor => {
    if (!(t >= start && t <= end))
      throw new RangeError(`brownianNoise: time ${t} is outside the path; give times from ${start} to ${end}.`);
    return tf.tidy(() => bridge(tree, shape, (t - start) / (end - start)).mul(Math.sqrt(end - start)));
  };
  return {
    normal: (shape) => stream.normal(shape),
    uniform: (shape) => stream.uniform(shape),
    increment: (shape, from, to) => tf.tidy(() => combine([1, valueAt(shape, to)], [-1, valueAt(shape, from)])),
  };
}

/** W(t) for t in [0, 1], with W(0) = 0. */
function bridge(tree: KeyedNoise, shape: number[], t: number): tf.Tensor {
  let [left, width, index] = [0, 1, 0];
  let [low, high]: [tf.Tensor, tf.Tensor] = [tf.zeros(shape), tree.at(-1).normal(shape)];
  for (let depth = 0; depth < DEPTH && t !== left && t !== left + width; depth++) {
    width /= 2;
    const deviation = Math.sqrt(width / 2);
    const middle = combine([0.5, low], [0.5, high], [deviation, tree.at(depth, index).normal(shape)]);
    const right = t >= left + width;
    [low, high] = right ? [middle, high] : [low, middle];
    if (right) left += width;
    index = 2 * index + (right ? 1 : 0);
  }
  const share = (t - left) / width;
  return combine([1 - share, low], [share, high]);
}

/** Whether a source of noise is a path. */
export function isBrownian(noise: NoiseSource): noise is BrownianNoise {
  return "increment" in noise;
}
