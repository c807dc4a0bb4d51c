import * as tf from "@tensorflow/tfjs";
import { combine, sum } from "../combine.js";
import {
  BETA_KEYS,
  CLIPPING_KEYS,
  type ConfigOf,
  type ConfigSpec,
  SPACING_KEYS,
  THRESHOLDING_KEYS,
  type VarianceType,
} from "../config.js";
import { posterior } from "../forward.js";
import { makePlan } from "../plan.js";
import { levelOf, x0Of } from "../prediction.js";
import { sigmaOf } from "../schedule.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { limited } from "../numerics/thresholding.js";
import { TrainedScheduler } from "../trained.js";
import type { SchedulerTraits } from "../traits.js";

export type { VarianceType };

/** Standard deviation of the noise added in a step, from the posterior's variance and the step's beta. */
const FIXED_DEVIATIONS = {
  /** The lower bound: exact if the data are a single point (Ho et al. 2020, section 3.2). */
  fixed_small: (variance: number) => Math.sqrt(variance),
  fixed_small_log: (variance: number) => Math.sqrt(variance),
  /** The upper bound: exact if the data are standard normal. */
  fixed_large: (_: number, beta: number) => Math.sqrt(beta),
  fixed_large_log: (_: number, beta: number) => Math.sqrt(beta),
};

const KEYS = [
  ...BETA_KEYS,
  ...CLIPPING_KEYS,
  ...THRESHOLDING_KEYS,
  ...SPACING_KEYS,
  "prediction_type",
  "variance_type",
  "rescale_betas_zero_snr",
] as const;
const SPEC = { className: "DDPMScheduler", keys: KEYS, defaults: { clip_sample: true } };

/** Keys of DDPMScheduler's config, all with defaults. */
export type DDPMConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Denoising diffusion probabilistic models (Ho et al. 2020, algorithm 2): each step draws x_s from the Gaussian
 * q(x_s | x_t, x0), with the predicted clean sample for x0.
 */
export class DDPMScheduler extends TrainedScheduler<DDPMConfig> {
  static override readonly traits: SchedulerTraits = { network: "timestep", stochastic: true };
  /** @param spec for subclasses with other keys or defaults */
  constructor(config: Partial<DDPMConfig> = {}, spec: ConfigSpec = SPEC) {
    super(spec, config);
  }

  override get traits(): SchedulerTraits {
    return this.#learnsVariance ? { ...super.traits, readsVariance: true } : super.traits;
  }

  get #learnsVariance(): boolean {
    return !Object.hasOwn(FIXED_DEVIATIONS, this.settings.variance_type ?? "");
  }

  plan(request: PlanRequest): Plan {
    return this.planOver(this.visited(request));
  }

  /**
   * A plan over these timesteps, which ends at a clean sample: x_s = mean of q(x_s | x_t, x0) + deviation z, without
   * noise at timestep 0 (Ho et al. 2020, eq. 7).
   */
  protected planOver(timesteps: readonly number[]): Plan {
    const bars = [...timesteps.map((t) => this.alphaBar[t]!), 1];
    return makePlan({
      timesteps,
      sigmas: bars.map(sigmaOf),
      level: (i) => levelOf(bars[i]!),
      learnedVariance: true,
      update: ({ x, output, i, fresh }) => {
        const [prediction, learned] = this.#splitOutput(output, x);
        const x0 = limited(x0Of(this.settings.prediction_type, prediction, x, levelOf(bars[i]!)), this.settings);
        const { alpha, beta } = this.transition(timesteps[i]!, timesteps[i + 1] ?? -1);
        const { ofX0, ofXt, variance } = posterior(bars[i]!, bars[i + 1]!, alpha, beta);
        const mean = sum([ofX0, x0], [ofXt, x]);
        if (timesteps[i] === 0) return { x: combine([1, mean]) };
        const deviation = this.#deviation(Math.max(variance, 1e-20), beta, learned);
        return { x: combine([1, mean], [deviation, fresh()]) };
      },
    });
  }

  /**
   * alpha and beta of the step from t to `next`, or to a clean sample. In float32, as published: between neighbouring
   * timesteps near t = 0 the rounding changes the fourth digit of beta.
   */
  protected transition(t: number, next: number): { alpha: number; beta: number } {
    const alpha = Math.fround(this.alphaBar[t]! / (this.alphaBar[next] ?? 1));
    return { alpha, beta: 1 - alpha };
  }

  /** With a learned variance the output has twice the channels of x: the prediction, then the variance. */
  #splitOutput(output: tf.Tensor, x: tf.Tensor): [prediction: tf.Tensor, learned?: tf.Tensor] {
    const learns = this.#learnsVariance;
    const doubled = output.shape.at(-1) === 2 * (x.shape.at(-1) ?? 0);
    if (learns !== doubled) {
      throw new RangeError(
        `${this.config._class_name}: the output has ${output.shape.at(-1)} channels for ${x.shape.at(-1)} of x, but variance_type is ` +
          `${this.settings.variance_type}. A learned variance needs twice the channels: give the network's whole output, or set variance_type to ` +
          `${learns ? "fixed_small" : "learned_range"}.`,
      );
    }
    return learns ? (tf.split(output, 2, -1) as [tf.Tensor, tf.Tensor]) : [output];
  }

  #deviation(variance: number, beta: number, learned?: tf.Tensor): number | tf.Tensor {
    if (!learned) return FIXED_DEVIATIONS[this.settings.variance_type as keyof typeof FIXED_DEVIATIONS](variance, beta);
    if (this.settings.variance_type === "learned") return learned.sqrt();
    // The output interpolates between the two fixed variances, on a logarithmic scale (Nichol & Dhariwal 2021, eq. 15).
    const [low, high] = [Math.log(variance), Math.log(beta)];
    return learned
      .add(1)
      .mul((high - low) / 2)
      .add(low)
      .mul(0.5)
      .exp();
  }
}
