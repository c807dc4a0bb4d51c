import type * as tf from "@tensorflow/tfjs";
import { combine, computed, type Quantity } from "../combine.js";
import { BETA_KEYS, CLIPPING_KEYS, type ConfigOf, SIGMA_SCHEDULE_KEYS, SPACING_KEYS } from "../config.js";
import { slopeAt } from "./euler.js";
import { makePlan } from "../plan.js";
import { x0Of } from "../prediction.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { inputScaleOf, SigmaScheduler } from "../sigma-scheduler.js";
import { limited } from "../numerics/thresholding.js";
import { everySecond, repeatInner, requireFirstHalf } from "../numerics/two-calls.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [...BETA_KEYS, ...CLIPPING_KEYS, ...SPACING_KEYS, ...SIGMA_SCHEDULE_KEYS, "prediction_type"] as const;

/** Keys of HeunDiscreteScheduler's config, all with defaults. */
export type HeunDiscreteConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Heun's method on the probability flow (Karras et al. 2022, algorithm 1): an Euler step, and then the same step again
 * with the mean of the slopes at its two ends. Two calls a step, but one for the last.
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
    const [timesteps, sigmas] = [repeatInner(levels.timesteps, "last too"), repeatInner(levels.sigmas)];
    const slope = (output: tf.Tensor, x: tf.Tensor, sigma: number) => {
      const x0 = limited(x0Of(this.settings.prediction_type, output, x, this.sigmaLevel(sigma)), this.settings);
      return slopeAt(x, x0, sigma);
    };
    return makePlan({
      timesteps,
      stepStarts: everySecond(timesteps),
      sigmas,
      initNoiseSigma: this.initNoiseSigma(sigmas),
      level: (i) => this.sigmaLevel(sigmas[i]!),
      inputScale: (i) => inputScaleOf(sigmas[i]!),
      update: ({ x, history, output, i }) => heunStep({ x, history, i }, slope(output, x, sigmas[i]!), sigmas),
    });
  }
}

/** Call i of Heun's method, with the slope d = dx / dsigma there; every second call ends a step. */
export function heunStep(
  { x, history, i }: { x: tf.Tensor; history: readonly tf.Tensor[]; i: number },
  slope: Quantity,
  sigmas: readonly number[],
): { x: tf.Tensor; history: tf.Tensor[] } {
  if (i % 2 === 0) {
    return { x: combine([1, x], [sigmas[i + 1]! - sigmas[i]!, slope]), history: [x, computed(slope)] };
  }
  const [start, slopeThere] = requireFirstHalf(history, 2, i);
  const half = (sigmas[i]! - sigmas[i - 1]!) / 2;
  return { x: combine([1, start!], [half, slopeThere!], [half, slope]), history: [] };
}
