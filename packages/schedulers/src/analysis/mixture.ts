import * as tf from "@tensorflow/tfjs";
import type { Level } from "../prediction.js";

/** A mixture of Gaussians of equal variance: data whose best denoiser is known in closed form. */
export interface GaussianMixture {
  /** Means, [K][D]. */
  readonly means: readonly (readonly number[])[];
  /** Standard deviation of each component, in every direction. */
  readonly deviation: number;
  /** Weight of each component, with sum 1. Default: equal weights. */
  readonly weights?: readonly number[];
}

/**
 * The optimal denoiser for these data, E[x0 | x], at a noise level x = alpha x0 + sigma epsilon (Karras et al. 2022,
 * appendix B.3, for points; here each is a Gaussian). Its score is (alpha E[x0 | x] - x) / sigma^2.
 *
 * @param x [B, D]
 * @returns [B, D], owned by the caller
 */
export function mixtureDenoiser(
  { means, deviation, weights }: GaussianMixture,
  x: tf.Tensor2D,
  { alpha, sigma }: Level,
): tf.Tensor2D {
  return tf.tidy(() => {
    const centres = tf.tensor2d(means.map((mean) => [...mean]));
    const logShares = tf.tensor1d(means.map((_, k) => Math.log(weights?.[k] ?? 1 / means.length)));
    // x given component k is Gaussian: mean alpha mu_k, variance alpha^2 deviation^2 + sigma^2.
    const variance = (alpha * deviation) ** 2 + sigma ** 2;
    const distances = x.expandDims(1).sub(centres.mul(alpha)).square().sum(2);
    const shares = logShares.sub(distances.div(2 * variance)).softmax();
    const pull = (alpha * deviation ** 2) / variance;
    return x.mul(pull).add<tf.Tensor2D>(tf.matMul(shares as tf.Tensor2D, centres).mul(1 - alpha * pull));
  });
}
