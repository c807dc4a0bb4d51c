import * as tf from "@tensorflow/tfjs";
import { combine } from "./combine.js";
import type { NoiseSource } from "./noise/noise.js";
import type { StepOptions } from "./scheduler.js";

/**
 * A denoiser D(x; sigma): x = x0 + sigma noise, [B, ...], with one sigma a sample, to the mean of x0. The caller owns
 * the result.
 */
export type Denoise<X extends tf.Tensor = tf.Tensor> = (x: X, sigmas: number[]) => tf.Tensor;

/** Options of {@link edmHeun}. */
export interface EdmHeunOptions extends Pick<StepOptions, "s_churn" | "s_tmin" | "s_tmax" | "s_noise"> {
  /** Where churn draws from; needed only with s_churn. */
  noise?: NoiseSource;
}

/**
 * The stochastic sampler of Karras et al. 2022, algorithm 2: Heun's method on dx / dsigma = (x - D(x; sigma)) / sigma,
 * after some fresh noise in each step if s_churn is above 0. Two calls of D a step, one in a step to 0.
 *
 * @param start standard normal noise, [B, ...]; borrowed
 * @param sigmas falling noise levels, of which the last may be 0, such as `[...karrasSigmas(18, 80, 0.002), 0]`
 * @returns the samples, [B, ...]; the caller owns them
 * @throws RangeError unless the levels fall, and for churn without noise
 */
export function edmHeun<X extends tf.Tensor>(
  denoise: Denoise<X>,
  start: X,
  sigmas: readonly number[],
  { s_churn = 0, s_tmin = 0, s_tmax = Infinity, s_noise = 1, noise }: EdmHeunOptions = {},
): X {
  if (sigmas.length < 2 || sigmas.some((sigma, i) => !(sigma >= 0 && (i === 0 || sigma < sigmas[i - 1]!)))) {
    throw new RangeError(`edmHeun: sigmas are [${sigmas.join(", ")}]; give at least two that fall, the last from 0.`);
  }
  if (s_churn > 0 && !noise) throw new RangeError("edmHeun: s_churn adds fresh noise; give noise: keyedNoise(seed).");
  const steps = sigmas.length - 1;
  let x = start.mul<X>(sigmas[0]!);
  for (let i = 0; i < steps; i++) {
    const moved = tf.tidy(() => {
      const [t, next] = [sigmas[i]!, sigmas[i + 1]!];
      const gamma = s_tmin <= t && t <= s_tmax ? Math.min(s_churn / steps, Math.SQRT2 - 1) : 0;
      const raised = t * (1 + gamma);
      const fresh = s_noise * Math.sqrt(raised ** 2 - t ** 2);
      const from = gamma > 0 ? (combine([1, x], [fresh, noise!.normal(x.shape)]) as X) : x;
      const slope = (at: X, sigma: number) => {
        const denoised = denoise(at, Array<number>(at.shape[0]).fill(sigma));
        return combine([1 / sigma, at], [-1 / sigma, denoised]);
      };
      const d = slope(from, raised);
      const euler = combine([1, from], [next - raised, d]) as X;
      if (next === 0) return euler;
      return combine([1, from], [(next - raised) / 2, d], [(next - raised) / 2, slope(euler, next)]) as X;
    });
    x.dispose();
    x = moved;
  }
  return x;
}
