import * as tf from "@tensorflow/tfjs";
import { levelOf, predictX0, type Scheduler } from "@tfjs-diffusion/schedulers";

/**
 * Changes a network's output so that the clean picture it implies lies within [-1, 1], the range of pixels (static
 * thresholding, Saharia et al. 2022, section 2.3). Guidance pushes that picture far outside. A sampler that used it
 * unchanged, or clipped the picture but not the matching noise, would give dark and mottled pictures. Changing the
 * network's output works in the same way for every sampler.
 *
 * output, input [B, ...] of the network at `timestep`; a fractional timestep lies between two trained levels. The
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

/** The derivative of the output with respect to the clean picture at a fixed input, for each prediction type. */
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
