import * as tf from "@tensorflow/tfjs";
import {
  type Denoise,
  type KeyedNoise,
  logNormalSigmas,
  type Network,
  preconditioning,
  type TimeDistribution,
} from "@tfjs-diffusion/schedulers";
import { perSample } from "./per-sample.js";

/**
 * Makes a denoiser of any network (Karras et al. 2022, eq. 7): D(x; sigma) = c_skip x + c_out F(c_in x; c_noise), with
 * the coefficients of {@link preconditioning}. At every noise level, the input and the target of F have variance 1, and
 * c_out amplifies an error of F as little as possible.
 *
 *     const denoise = preconditioned((x, told) => unet.forward(x, tf.tensor1d(told)));
 *     edmLoss({ denoise, x0, noise });
 *     edmHeun(denoise, start, [...karrasSigmas(18, 80, 0.002), 0]);
 *
 * @param sigmaData standard deviation of the data
 */
export function preconditioned<X extends tf.Tensor = tf.Tensor4D>(network: Network<X>, sigmaData = 0.5): Denoise<X> {
  return (x, sigmas) =>
    tf.tidy(() => {
      const levels = sigmas.map((sigma) => preconditioning(sigma, sigmaData));
      const column = (key: "skip" | "out" | "in") =>
        perSample(
          levels.map((level) => level[key]),
          x.rank,
        );
      const output = network(
        x.mul<X>(column("in")),
        levels.map(({ noise }) => noise),
      );
      return x.mul(column("skip")).add(output.mul(column("out")));
    });
}

/** One batch of {@link edmLoss}. */
export interface EdmLossOptions<X extends tf.Tensor = tf.Tensor4D> {
  /** D(x; sigma), such as {@link preconditioned} makes. */
  denoise: Denoise<X>;
  /** Clean samples, [B, ...]. Borrowed. */
  x0: X;
  /** The source of the noise levels and the noise. */
  noise: KeyedNoise;
  /** Standard deviation of the data. Default 0.5, as in the paper. */
  sigmaData?: number;
  /** How noise levels are drawn. Default: ln sigma normal, mean -1.2, deviation 1.2. */
  times?: TimeDistribution;
}

/**
 * The loss of Karras et al. 2022 (eq. 2 with the weight of table 1), one noise level a sample. The caller owns it.
 *
 *   mean of lambda |D(x0 + sigma n; sigma) - x0|^2,   lambda = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2
 *
 * It equals `denoisingLoss` of the network F with EDMEulerScheduler; this form takes any D.
 */
export function edmLoss<X extends tf.Tensor = tf.Tensor4D>(options: EdmLossOptions<X>): tf.Scalar {
  const { denoise, x0, noise, sigmaData = 0.5, times = logNormalSigmas() } = options;
  const random = noise.at("timesteps").random();
  const sigmas = Array.from({ length: x0.shape[0] }, () => times(random));
  return tf.tidy(() => {
    const noisy = noise.at("epsilon").normal(x0.shape).mul(perSample(sigmas, x0.rank)).add<X>(x0);
    const errors = denoise(noisy, sigmas).sub(x0);
    const scales = sigmas.map((sigma) => 1 / preconditioning(sigma, sigmaData).out);
    return errors.mul(perSample(scales, x0.rank)).square().mean<tf.Scalar>();
  });
}
