import * as tf from "@tensorflow/tfjs";
import { levelOf, predictX0, type Scheduler } from "@tfjs-diffusion/schedulers";

/**
 * Changes a network's output so that the clean picture it implies lies within [-1, 1], where pixels do (static
 * thresholding, Saharia et al. 2022, section 2.3). Guidance pushes that picture far outside; a sampler that took it at
 * its word, or clipped the picture but not the noise that goes with it, would end in dark and mottled colours. Done to
 * the output, it works alike for every sampler.
 *
 * output, input [B, ...]: the network's, at `timestep` (a fraction of a step lies between two trained levels); the
 * caller owns the result.
 */
export function keepPixelRange<T extends tf.Tensor>(output: T, input: T, timestep: number, scheduler: Scheduler): T {
  const type = scheduler.config.prediction_type as keyof typeof SLOPES;
  const slope = SLOPES[type];
  if (!slope) return output;
  return tf.tidy(() => {
    const level = levelOf(alphaBarAt(scheduler.alphaBar, timestep));
    const x0 = predictX0(type, output, input, level);
    return output.add<T>(x0.clipByValue(-1, 1).sub(x0).mul(slope(level)));
  });
}

/**
 * How much the output changes for a change of the clean picture, at one input: the derivatives of the prediction types.
 */
const SLOPES = {
  epsilon: ({ alpha, sigma }: { alpha: number; sigma: number }) => -alpha / sigma,
  sample: () => 1,
  v_prediction: ({ sigma }: { sigma: number }) => -1 / sigma,
};

function alphaBarAt(alphaBar: Float64Array, timestep: number): number {
  const t = Math.min(Math.max(timestep, 0), alphaBar.length - 1);
  const below = alphaBar[Math.floor(t)]!;
  return below + (alphaBar[Math.ceil(t)]! - below) * (t % 1);
}
