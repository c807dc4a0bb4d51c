import type * as tf from "@tensorflow/tfjs";
import { combine, computed, type Quantity } from "../combine.js";
import { BETA_KEYS, CLIPPING_KEYS, type ConfigOf, SIGMA_SCHEDULE_KEYS, SPACING_KEYS } from "../config.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { SigmaScheduler } from "../sigma-scheduler.js";
import { limited } from "../numerics/thresholding.js";
import { atBothEnds, everySecond, requireFirstHalf } from "../numerics/two-calls.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [...BETA_KEYS, ...CLIPPING_KEYS, ...SPACING_KEYS, ...SIGMA_SCHEDULE_KEYS, "prediction_type"] as const;

/** Keys of HeunDiscreteScheduler's config, all with defaults. */
export type HeunDiscreteConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Heun's method on the probability flow (Karras et al. 2022, algorithm 1): an Euler step, and then the same step again
 * with the mean of the slopes at its two ends. Each step makes two calls; the last makes one.
 */
export class HeunDiscreteScheduler extends SigmaScheduler<HeunDiscreteConfig> {
  static override readonly traits: SchedulerTraits = {
    network: "timestep",
    stochastic: false,
    divergesFromPureNoise: true,
  };
  constructor(config: Partial<HeunDiscreteConfig> = {}) {
    const defaults = { timestep_spacing: "linspace", beta_start: 0.00085, beta_end: 0.012 } as const;
    super({ className: "HeunDiscreteScheduler", keys: KEYS, defaults }, config);
  }

  plan(request: PlanRequest): Plan {
    const levels = this.levels(request);
    const calls = 2 * levels.timesteps.length - 1;
    const timesteps = atBothEnds(levels.timesteps, calls);
    const sigmas = atBothEnds(levels.sigmas, calls + 1);
    return this.sigmaPlan({
      timesteps,
      stepStarts: everySecond(timesteps),
      sigmas,
      update: (call) => heunStep(call, this.slope(call.output, call.x, sigmas[call.i]!), sigmas),
    });
  }

  protected override denoised(output: tf.Tensor, x: tf.Tensor, sigma: number): Quantity {
    return limited(super.denoised(output, x, sigma), this.settings);
  }
}

/**
 * Call i of Heun's method, with its slope d. Even calls make an Euler step, x' = x + h d. Odd calls repeat that step
 * from its start with the mean slope, x + h (d + d') / 2 (Karras et al. 2022, algorithm 1, lines 5 and 8).
 */
export function heunStep(
  { x, history, i }: { x: tf.Tensor; history: readonly tf.Tensor[]; i: number },
  d: Quantity,
  sigmas: readonly number[],
): { x: tf.Tensor; history: tf.Tensor[] } {
  if (i % 2 === 0) {
    const h = sigmas[i + 1]! - sigmas[i]!;
    return { x: combine([1, x], [h, d]), history: [x, computed(d)] };
  }
  const [start, slopeAtStart] = requireFirstHalf(history, 2, i);
  const h = sigmas[i]! - sigmas[i - 1]!;
  return { x: combine([1, start!], [h / 2, slopeAtStart!], [h / 2, d]), history: [] };
}
