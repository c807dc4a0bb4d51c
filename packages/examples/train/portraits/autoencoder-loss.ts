import * as tf from "@tensorflow/tfjs";
import { type AutoencoderKL, klToStandardNormal } from "@tfjs-diffusion/core/models";
import type { NoiseSource } from "@tfjs-diffusion/schedulers";

/** Weights of the parts of {@link autoencoderLoss}; the mean absolute error has weight 1. */
export interface AutoencoderWeights {
  squared: number;
  edges: number;
  /** Weight of the divergence from a standard normal, in nats per latent number. */
  kl: number;
}

/**
 * How far decoded pictures are from the pictures that were encoded (Kingma & Welling 2014, eq. 8; Rombach et al. 2022,
 * section 3.1):
 *
 *   mean |d| + squared mean d² + edges (mean |∂x d| + mean |∂y d|) + kl KL / latents,   d = decode(z) - x,  z = mean + exp(logvar / 2) ε
 *
 * The absolute error favours the most common colour, the squared error the average colour. The error of the differences
 * between neighbours favours crisp edges and flat areas. The caller owns the result.
 *
 * @param x pictures [B, H, W, 3] in [-1, 1]
 */
export function autoencoderLoss(
  vae: AutoencoderKL,
  x: tf.Tensor4D,
  noise: NoiseSource,
  weights: AutoencoderWeights,
): tf.Scalar {
  return tf.tidy(() => {
    const distribution = vae.encode(x);
    const { mean, logvar } = distribution;
    const z = mean.add<tf.Tensor4D>(logvar.mul(0.5).exp().mul(noise.normal(mean.shape)));
    const d = vae.decode(z).sub<tf.Tensor4D>(x);
    const kl = klToStandardNormal(distribution)
      .mean()
      .div(mean.size / x.shape[0]);
    return pictureError(d, weights).add(kl.mul(weights.kl));
  });
}

/**
 * The parts of {@link autoencoderLoss} that compare pictures, from their differences d [B, H, W, 3]. The caller owns
 * the result.
 */
export function pictureError(d: tf.Tensor4D, weights: Omit<AutoencoderWeights, "kl">): tf.Scalar {
  return tf.tidy(() =>
    d.abs().mean().add(d.square().mean().mul(weights.squared)).add<tf.Scalar>(edgeError(d).mul(weights.edges)),
  );
}

/** Mean absolute difference of neighbours, along rows and along columns. */
function edgeError(d: tf.Tensor4D): tf.Scalar {
  const [, height, width] = d.shape;
  const across = d
    .slice([0, 0, 1, 0], [-1, height, width - 1, -1])
    .sub(d.slice([0, 0, 0, 0], [-1, height, width - 1, -1]));
  const down = d
    .slice([0, 1, 0, 0], [-1, height - 1, width, -1])
    .sub(d.slice([0, 0, 0, 0], [-1, height - 1, width, -1]));
  return across.abs().mean().add<tf.Scalar>(down.abs().mean());
}
