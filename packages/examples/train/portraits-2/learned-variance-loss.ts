import * as tf from "@tensorflow/tfjs";
import { withoutGradient } from "@tfjs-diffusion/core/training";
import { type KeyedNoise, posterior, type UnCLIPScheduler } from "@tfjs-diffusion/schedulers";

export interface LearnedVarianceLossOptions {
  /** Predicts noise, with a learned range of variances. */
  scheduler: UnCLIPScheduler;
  /** The network: noisy pictures [B, H, W, C] and one timestep a picture to predicted noise and variances, 2 C. */
  model(noisy: tf.Tensor4D, timesteps: number[]): tf.Tensor4D;
  /** Clean pictures [B, H, W, C] in [-1, 1]. Borrowed. */
  x0: tf.Tensor4D;
  noise: KeyedNoise;
}

/**
 * The hybrid loss of Nichol & Dhariwal 2021 (eq. 16): the squared error of the noise, and the variational bound, which
 * trains the variances alone. The network's variances v interpolate between the posterior's variance and beta (eq. 15).
 * Both are means over all numbers; their lambda of 0.001 of the sum over 1000 timesteps is a weight of 1 for the mean.
 * Timestep 0, at which samplers add no noise, has no bound. The caller owns the result.
 */
export function learnedVarianceLoss({ scheduler, model, x0, noise }: LearnedVarianceLossOptions): tf.Scalar {
  const { alphaBar } = scheduler;
  const random = noise.at("timesteps").random();
  const timesteps = Array.from({ length: x0.shape[0] }, () => random.integer(alphaBar.length));
  return tf.tidy(() => {
    const epsilon = noise.at("epsilon").normal(x0.shape) as tf.Tensor4D;
    const noisy = scheduler.addNoise(x0, epsilon, timesteps) as tf.Tensor4D;
    const [predicted, variance] = tf.split(model(noisy, timesteps), 2, 3) as [tf.Tensor4D, tf.Tensor4D];
    const levels = timesteps.map((t) => levelOf(alphaBar, t));
    const perPicture = (value: (level: Level) => number) => tf.tensor4d(levels.map(value), [levels.length, 1, 1, 1]);

    // The means differ by the posterior's weight of x0 times the error of x0.
    const meanError = withoutGradient(() => {
      const guess = noisy.sub(predicted.mul(perPicture(({ noise }) => noise))).div(perPicture(({ signal }) => signal));
      return x0.sub(guess.clipByValue(-1, 1)).mul(perPicture(({ ofX0 }) => ofX0));
    });
    const low = perPicture(({ low }) => low);
    const span = perPicture(({ low, high }) => high - low);
    const logVariance = variance.add(1).div(2).mul(span).add(low);
    const bound = gaussianKl(low, meanError, logVariance).mul(perPicture(({ t }) => Number(t > 0)));
    return predicted.sub(epsilon).square().mean<tf.Scalar>().add(bound.mean<tf.Scalar>());
  });
}

/** What a timestep means for the bound. */
interface Level {
  t: number;
  /** sqrt(alphaBar) and sqrt(1 - alphaBar). */
  signal: number;
  noise: number;
  /** The weight of x0 in the posterior's mean. */
  ofX0: number;
  /** Logarithms of the variances between which the network chooses. */
  low: number;
  high: number;
}

function levelOf(alphaBar: Float64Array, t: number): Level {
  const [bar, previous] = [alphaBar[t]!, alphaBar[t - 1] ?? 1];
  const { ofX0, variance } = posterior(bar, previous);
  // At timestep 0 the posterior is a point; nothing is read of it.
  const low = Math.log(Math.max(variance, 1e-20));
  const high = Math.log(1 - bar / previous);
  return { t, signal: Math.sqrt(bar), noise: Math.sqrt(1 - bar), ofX0, low, high };
}

/**
 * The divergence of a Gaussian from the true one, in bits: 0.5 (-1 + log(s2 / s1) + (s1 + d²) / s2), where s1 is the
 * true variance, s2 the network's and d the difference of the means.
 */
function gaussianKl(trueLogVariance: tf.Tensor, meanError: tf.Tensor, logVariance: tf.Tensor): tf.Tensor {
  const spread = trueLogVariance.sub(logVariance).exp();
  const shift = meanError.square().mul(logVariance.neg().exp());
  return logVariance
    .sub(trueLogVariance)
    .add(spread)
    .add(shift)
    .sub(1)
    .mul(0.5 / Math.LN2);
}
