import * as tf from "@tensorflow/tfjs";
import { computed, type Quantity } from "../combine.js";

/** How to limit the values of predicted clean samples. */
export interface ThresholdingConfig {
  clip_sample: boolean;
  clip_sample_range: number;
  thresholding: boolean;
  dynamic_thresholding_ratio: number;
  sample_max_value: number;
}

/** Limits a predicted clean sample as the config says: unchanged, clipped, or by dynamic thresholding. */
export function limited(x0: Quantity, config: ThresholdingConfig): Quantity {
  const { dynamic_thresholding_ratio, sample_max_value, clip_sample_range: range } = config;
  if (config.thresholding) return dynamicThreshold(computed(x0), dynamic_thresholding_ratio, sample_max_value);
  return config.clip_sample ? computed(x0).clipByValue(-range, range) : x0;
}

/** `limited`, computed; the caller owns the result. */
export function limitX0(x0: tf.Tensor, config: ThresholdingConfig): tf.Tensor {
  return tf.tidy(() => computed(limited(x0, config)));
}

/**
 * Dynamic thresholding (Saharia et al. 2022, section 2.3): s is the `ratio` quantile of |x0| over a sample, at least 1
 * and at most `maxValue` (which takes precedence); x0 is clipped to [-s, s] and divided by s. Quantiles interpolate
 * linearly between neighbours.
 */
export function dynamicThreshold(x0: tf.Tensor, ratio: number, maxValue: number): tf.Tensor {
  return tf.tidy(() => {
    const samples = x0.shape[0];
    const size = x0.size / samples;
    const position = ratio * (size - 1);
    const below = Math.floor(position);
    const { values } = tf.topk(x0.abs().reshape([samples, size]), size - below, true);
    const rank = (fromTop: number) => values.slice([0, fromTop], [samples, 1]);
    const low = rank(size - below - 1);
    const high = rank(Math.max(size - below - 2, 0));
    const quantile = low.add(high.sub(low).mul(position - below));
    const s = quantile
      .maximum(1)
      .minimum(maxValue)
      .reshape([samples, ...x0.shape.slice(1).map(() => 1)]);
    return tf.minimum(tf.maximum(x0, s.neg()), s).div(s);
  });
}
