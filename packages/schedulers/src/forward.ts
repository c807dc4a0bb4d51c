import * as tf from "@tensorflow/tfjs";
import { combine } from "./combine.js";

/**
 * x_t = sqrt(alphaBar) x0 + sqrt(1 - alphaBar) noise, one alphaBar for each sample: the closed form of t steps of
 * noising (Ho et al. 2020, eq. 4). x0 and noise [B, ...]; the caller owns the result.
 */
export function diffuse(x0: tf.Tensor, noise: tf.Tensor, alphaBars: ArrayLike<number>): tf.Tensor {
  const bars = Array.from(alphaBars);
  return mixPerSample([x0, bars.map(Math.sqrt)], [noise, bars.map((bar) => Math.sqrt(1 - bar))]);
}

/** v = sqrt(alphaBar) noise - sqrt(1 - alphaBar) x0 (Salimans & Ho 2022, appendix D). */
export function velocityOf(x0: tf.Tensor, noise: tf.Tensor, alphaBars: ArrayLike<number>): tf.Tensor {
  const bars = Array.from(alphaBars);
  return mixPerSample([x0, bars.map((bar) => -Math.sqrt(1 - bar))], [noise, bars.map(Math.sqrt)]);
}

/**
 * The Gaussian q(x_s | x_t, x0) for s < t: mean = x0 * ofX0 + x_t * ofXt, and its variance (Ho et al. 2020, eq. 7, for
 * neighbours; the same algebra holds for any two levels). `alpha` and `beta` can be given with their float32 rounding.
 */
export function posterior(
  alphaBar: number,
  previousAlphaBar: number,
  alpha = alphaBar / previousAlphaBar,
  beta = 1 - alpha,
): { ofX0: number; ofXt: number; variance: number } {
  return {
    ofX0: (Math.sqrt(previousAlphaBar) * beta) / (1 - alphaBar),
    ofXt: (Math.sqrt(alpha) * (1 - previousAlphaBar)) / (1 - alphaBar),
    variance: ((1 - previousAlphaBar) / (1 - alphaBar)) * beta,
  };
}

/** A tensor [B, ...] with one weight for each sample, or one for all. */
type PerSample = readonly [tensor: tf.Tensor, weights: readonly number[]];

/**
 * The weighted sum of clean samples and noise of the same shape.
 * @throws RangeError if the shapes or the number of weights do not fit
 */
export function mixPerSample([a, weightsOfA]: PerSample, [b, weightsOfB]: PerSample): tf.Tensor {
  if (!tf.util.arraysEqual(a.shape, b.shape)) {
    throw new RangeError(
      `addNoise: the samples are [${a.shape.join(", ")}], the noise is [${b.shape.join(", ")}]; draw it as noise.normal(x0.shape).`,
    );
  }
  const samples = a.shape[0] ?? 1;
  if (weightsOfA.length === 1) return combine([weightsOfA[0]!, a], [weightsOfB[0]!, b]);
  if (weightsOfA.length !== samples) {
    throw new RangeError(
      `addNoise: ${weightsOfA.length} timesteps for ${samples} samples; give one for each, or one for all.`,
    );
  }
  const column = [samples, ...a.shape.slice(1).map(() => 1)];
  return tf.tidy(() => combine([tf.tensor([...weightsOfA], column), a], [tf.tensor([...weightsOfB], column), b]));
}
