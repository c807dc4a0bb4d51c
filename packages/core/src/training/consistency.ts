import * as tf from "@tensorflow/tfjs";
import type { Denoise, KeyedNoise, Network } from "@tfjs-diffusion/schedulers";
import { perSample } from "./per-sample.js";
import { withoutGradient } from "./without-gradient.js";

/** The settings of a consistency function; those of CMStochasticIterativeScheduler's config. */
export interface ConsistencySettings {
  /** Noise level at which it is the identity. Default 0.002. */
  sigmaMin?: number;
  /** Standard deviation of the data. Default 0.5. */
  sigmaData?: number;
}

/**
 * Makes a consistency function of any network (Song et al. 2023, eq. 5 and appendix C): from any point of a trajectory
 * to its end, and at sigmaMin the identity. CMStochasticIterativeScheduler draws with the network inside.
 *
 *   f(x, sigma) = c_skip x + c_out F(c_in x; 250 ln sigma)
 */
export function consistencyFunction<X extends tf.Tensor = tf.Tensor4D>(
  network: Network<X>,
  { sigmaMin = 0.002, sigmaData = 0.5 }: ConsistencySettings = {},
): Denoise<X> {
  return (x, sigmas) =>
    tf.tidy(() => {
      const column = (of: (sigma: number) => number) => perSample(sigmas.map(of), x.rank);
      const total = (sigma: number) => Math.hypot(sigma, sigmaData);
      const skip = column((sigma) => sigmaData ** 2 / ((sigma - sigmaMin) ** 2 + sigmaData ** 2));
      const out = column((sigma) => ((sigma - sigmaMin) * sigmaData) / total(sigma));
      const output = network(
        x.mul<X>(column((sigma) => 1 / total(sigma))),
        sigmas.map((sigma) => 250 * Math.log(sigma)),
      );
      return x.mul(skip).add(output.mul(out));
    });
}

/** One batch of {@link consistencyLoss}. */
export interface ConsistencyLossOptions<X extends tf.Tensor = tf.Tensor4D> {
  /** The function to train, such as one from {@link consistencyFunction}. */
  student: Denoise<X>;
  /** The target function, without gradient, such as the same function with averaged weights. Default: the student. */
  target?: Denoise<X>;
  /**
   * For distillation: a trained denoiser D(x; sigma), whose trajectories the student learns. Default: training from
   * scratch, with the directions of the trajectories estimated from the data.
   */
  teacher?: Denoise<X>;
  /** Clean samples, [B, ...]. Borrowed. */
  x0: X;
  noise: KeyedNoise;
  /** Noise levels that rise from sigmaMin, such as `karrasSigmas(18, 80, 0.002).reverse()`. */
  sigmas: readonly number[];
  /** Smaller errors count quadratically, larger ones linearly (Song & Dhariwal 2024, eq. 7). Default 1e-3. */
  huber?: number;
}

/**
 * Two neighbours on a trajectory have the same end (Song et al. 2023). With a teacher, the neighbour below is one step
 * of Heun's method away (consistency distillation, algorithm 2); without, the same noise gives both (consistency
 * training, algorithm 3). The weight of a pair is 1 / (difference of its noise levels) (Song & Dhariwal 2024, section
 * 3.1). The caller owns the result.
 *
 * @throws RangeError unless the noise levels rise from above 0
 */
export function consistencyLoss<X extends tf.Tensor = tf.Tensor4D>(options: ConsistencyLossOptions<X>): tf.Scalar {
  const { student, target = student, teacher, x0, noise, sigmas, huber = 1e-3 } = options;
  if (sigmas.length < 2 || sigmas.some((sigma, i) => !(sigma > (i === 0 ? 0 : sigmas[i - 1]!)))) {
    throw new RangeError(
      `consistencyLoss: sigmas are [${sigmas.join(", ")}]; give at least two that rise from above 0.`,
    );
  }
  const random = noise.at("timesteps").random();
  const places = Array.from({ length: x0.shape[0] }, () => random.integer(sigmas.length - 1));
  const [low, high] = [places.map((n) => sigmas[n]!), places.map((n) => sigmas[n + 1]!)];

  return tf.tidy(() => {
    const epsilon = noise.at("epsilon").normal(x0.shape);
    const at = (levels: number[]) => x0.add<X>(epsilon.mul(perSample(levels, x0.rank)));
    const above = at(high);
    const end = withoutGradient(() => target(teacher ? heunStep(teacher, above, high, low) : at(low), low));
    const errors = student(above, high)
      .sub(end)
      .square()
      .add(huber ** 2)
      .sqrt()
      .sub(huber);
    const weights = high.map((sigma, i) => 1 / (sigma - low[i]!));
    return errors.mul(perSample(weights, x0.rank)).mean<tf.Scalar>();
  });
}

/**
 * Moves each sample along dx / dsigma = (x - D(x; sigma)) / sigma from its noise level to another (Karras et al. 2022).
 */
function heunStep<X extends tf.Tensor>(denoise: Denoise<X>, x: X, from: number[], to: number[]): X {
  const slope = (x: X, sigmas: number[]) => x.sub(denoise(x, sigmas)).div(perSample(sigmas, x.rank));
  const length = perSample(
    to.map((sigma, i) => sigma - from[i]!),
    x.rank,
  );
  const first = slope(x, from);
  const second = slope(x.add<X>(first.mul(length)), to);
  return x.add<X>(first.add(second).mul(length).div(2));
}
