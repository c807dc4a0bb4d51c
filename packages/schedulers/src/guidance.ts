import * as tf from "@tensorflow/tfjs";

/**
 * Classifier-free guidance (Ho & Salimans 2022, eq. 6 with w = scale - 1): moves the network's output away from the
 * unconditional one, in the direction of the condition. scale 1 is no guidance.
 *
 *     guided = unconditional + scale * (conditional - unconditional)
 *
 * @param unconditional output without the condition (or for the negative prompt), [B, ...]
 * @param conditional output for the condition, of the same shape
 * @param rescale of {@link rescaleGuidance}, 0 to 1
 * @returns the guided output, of the same shape; the caller owns it
 */
export function guide<T extends tf.Tensor>(unconditional: T, conditional: T, scale: number, rescale = 0): T {
  return tf.tidy(() => {
    const guided = unconditional.add<T>(conditional.sub(unconditional).mul(scale));
    return rescale === 0 ? guided : rescaleGuidance(guided, conditional, rescale);
  });
}

/**
 * Guidance rescale (Lin et al. 2024, eqs. 15 and 16): guidance raises the standard deviation of each sample; this moves
 * it back towards that of the conditional output. Outputs [B, ...]; rescale (their phi) from 0 (none) to 1; 0.7 is
 * usual. The caller owns the result.
 */
export function rescaleGuidance<T extends tf.Tensor>(guided: T, conditional: T, rescale: number): T {
  return tf.tidy(() => {
    const factor = deviation(conditional).div(deviation(guided));
    return guided.mul<T>(factor.mul(rescale).add(1 - rescale));
  });
}

/** Standard deviation of each sample over all its values: [B, ...] -> [B, 1, ...]. */
function deviation(x: tf.Tensor): tf.Tensor {
  const allButBatch = x.shape.map((_, axis) => axis).slice(1);
  return tf.moments(x, allButBatch, true).variance.sqrt();
}
