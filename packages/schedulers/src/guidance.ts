import * as tf from "@tensorflow/tfjs";
import { combine } from "./combine.js";

/**
 * Classifier-free guidance (Ho & Salimans 2022, eq. 6, in the weight of Saharia et al. 2022): past the conditional
 * output, away from the unconditional one. scale 1 is no guidance. The caller owns the result.
 */
export function guide(unconditional: tf.Tensor, conditional: tf.Tensor, scale: number): tf.Tensor {
  return combine([1 - scale, unconditional], [scale, conditional]);
}

/**
 * Guidance rescale (Lin et al. 2024, eqs. 15 and 16): brings each sample's standard deviation back towards that of the
 * conditional output, which guidance raises. Outputs [B, ...]; rescale from 0 (none) to 1; 0.7 is usual. The caller
 * owns the result.
 */
export function rescaleGuidance(guided: tf.Tensor, conditional: tf.Tensor, rescale: number): tf.Tensor {
  return tf.tidy(() => {
    const factor = deviation(conditional).div(deviation(guided));
    return guided.mul(factor.mul(rescale).add(1 - rescale));
  });
}

/** Standard deviation of each sample, unbiased as PyTorch's, in a shape that broadcasts. */
function deviation(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis).slice(1);
  const size = x.size / x.shape[0];
  return tf
    .moments(x, axes, true)
    .variance.mul(size / Math.max(size - 1, 1))
    .sqrt();
}
