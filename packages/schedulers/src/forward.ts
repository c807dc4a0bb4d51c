import * as tf from "@tensorflow/tfjs";

/**
 * x_t = sqrt(alphaBar) x0 + sqrt(1 - alphaBar) noise, one alphaBar a sample: the closed form of t steps of noising
 * (Ho et al. 2020, eq. 4). x0 and noise [B, ...]; the caller owns the result.
 */
export function diffuse(x0: tf.Tensor, noise: tf.Tensor, alphaBars: readonly number[]): tf.Tensor {
  return mix(x0, alphaBars.map(Math.sqrt), noise, alphaBars.map((bar) => Math.sqrt(1 - bar)));
}

/** v = sqrt(alphaBar) noise - sqrt(1 - alphaBar) x0 (Salimans & Ho 2022, appendix D). */
export function velocityOf(x0: tf.Tensor, noise: tf.Tensor, alphaBars: readonly number[]): tf.Tensor {
  return mix(noise, alphaBars.map(Math.sqrt), x0, alphaBars.map((bar) => -Math.sqrt(1 - bar)));
}

/**
 * The Gaussian q(x_s | x_t, x0) for s < t: mean = x0 * ofX0 + x_t * ofXt, and its variance
 * (Ho et al. 2020, eq. 7, for neighbours; the same algebra holds for any two levels). `alpha` may be given rounded.
 */
export function posterior(
  alphaBar: number,
  previousAlphaBar: number,
  alpha = alphaBar / previousAlphaBar,
): { ofX0: number; ofXt: number; variance: number } {
  const beta = 1 - alpha;
  return {
    ofX0: (Math.sqrt(previousAlphaBar) * beta) / (1 - alphaBar),
    ofXt: (Math.sqrt(alpha) * (1 - previousAlphaBar)) / (1 - alphaBar),
    variance: ((1 - previousAlphaBar) / (1 - alphaBar)) * beta,
  };
}

/** a * weightsA + b * weightsB, one weight a sample (or one for all). */
function mix(a: tf.Tensor, weightsA: readonly number[], b: tf.Tensor, weightsB: readonly number[]): tf.Tensor {
  tf.util.assertShapesMatch(a.shape, b.shape, "addNoise: the samples and the noise must have one shape: ");
  const samples = a.shape[0] ?? 1;
  if (weightsA.length !== 1 && weightsA.length !== samples) {
    throw new RangeError(`addNoise: ${weightsA.length} timesteps for ${samples} samples; give one for each, or one for all.`);
  }
  if (weightsA.length === 1) return tf.tidy(() => a.mul(weightsA[0]!).add(b.mul(weightsB[0]!)));
  const column = [samples, ...a.shape.slice(1).map(() => 1)];
  return tf.tidy(() => a.mul(tf.tensor([...weightsA], column)).add(b.mul(tf.tensor([...weightsB], column))));
}
