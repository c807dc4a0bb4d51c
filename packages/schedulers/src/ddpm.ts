import * as tf from "@tensorflow/tfjs";
import { COMMON_DEFAULTS, type CommonConfig, ownConfig } from "./config.js";
import { type DiscreteStep, discretePlan, forwardProcess, requestedTimesteps, trainedAlphaBars } from "./discrete-plan.js";
import { SchedulerConfigError } from "./errors.js";
import { posterior } from "./forward.js";
import type { NoiseSource } from "./noise.js";
import { predict, requirePredictionType } from "./prediction.js";
import type { Plan, PlanRequest, Scheduler } from "./scheduler.js";
import { limitX0 } from "./thresholding.js";

/** Standard deviation of the noise added in a step, from the posterior's variance and the step's beta. */
const FIXED_DEVIATIONS = {
  /** The least possible: that of a data set of one point (Ho et al. 2020, section 3.2). */
  fixed_small: (variance: number) => Math.sqrt(variance),
  fixed_small_log: (variance: number) => Math.sqrt(variance),
  /** The largest: that of pure noise as data. */
  fixed_large: (_: number, beta: number) => Math.sqrt(beta),
  fixed_large_log: (_: number, beta: number) => Math.sqrt(beta),
};
const VARIANCE_TYPES = [...Object.keys(FIXED_DEVIATIONS), "learned", "learned_range"];

export type VarianceType = keyof typeof FIXED_DEVIATIONS | "learned" | "learned_range";

export interface DDPMConfig extends CommonConfig {
  /** How much fresh noise a step adds. The learned types read it from the second half of the output's channels. */
  variance_type: VarianceType;
}

const DEFAULTS: DDPMConfig = { ...COMMON_DEFAULTS, variance_type: "fixed_small" };

/**
 * Denoising diffusion probabilistic models (Ho et al. 2020, algorithm 2): each step draws x_s from the Gaussian
 * q(x_s | x_t, x0), with the predicted clean sample for x0.
 */
export class DDPMScheduler implements Scheduler {
  readonly config: Scheduler["config"] & Readonly<DDPMConfig>;
  readonly alphaBar: Float64Array;
  readonly addNoise: Scheduler["addNoise"];
  readonly velocity: Scheduler["velocity"];

  constructor(config: Partial<DDPMConfig> = {}) {
    this.config = ownConfig("DDPMScheduler", DEFAULTS, config) as typeof this.config;
    requirePredictionType("DDPMScheduler", this.config.prediction_type);
    if (!VARIANCE_TYPES.includes(this.config.variance_type)) {
      throw new SchedulerConfigError(
        `DDPMScheduler: variance_type ${JSON.stringify(this.config.variance_type)} is not known; known: ${VARIANCE_TYPES.join(", ")}.`,
      );
    }
    this.alphaBar = trainedAlphaBars(this.config);
    ({ addNoise: this.addNoise, velocity: this.velocity } = forwardProcess(this.alphaBar));
  }

  plan(request: PlanRequest): Plan {
    const timesteps = requestedTimesteps(request, this.config);
    const steps = timesteps.map((t, i) => {
      const next = timesteps[i + 1];
      return { t, alphaBar: this.alphaBar[t]!, previous: next === undefined ? 1 : this.alphaBar[next]! };
    });
    return discretePlan(steps, (x, output, step, noise) => this.#update(x, output, step, noise));
  }

  /** x_s = mean of q(x_s | x_t, x0) + deviation z, no noise at timestep 0 (Ho et al. 2020, eq. 7). */
  #update(x: tf.Tensor, output: tf.Tensor, step: DiscreteStep, noise: NoiseSource): tf.Tensor {
    return tf.tidy(() => {
      const [prediction, learned] = this.#splitOutput(output);
      const x0 = limitX0(predict(this.config.prediction_type, prediction, x, step.alphaBar).x0, this.config);
      // In float32, as networks' authors sampled them: between neighbours near t = 0 it shows in the fourth digit of beta.
      const alpha = Math.fround(step.alphaBar / step.previous);
      const { ofX0, ofXt, variance } = posterior(step.alphaBar, step.previous, alpha);
      const mean = x0.mul(ofX0).add(x.mul(ofXt));
      if (step.t === 0) return mean;
      return mean.add(noise.normal(x.shape).mul(this.#deviation(Math.max(variance, 1e-20), 1 - alpha, learned)));
    });
  }

  /** With a learned variance the output has twice the channels: the prediction, then the variance. */
  #splitOutput(output: tf.Tensor): [prediction: tf.Tensor, learned?: tf.Tensor] {
    if (this.config.variance_type in FIXED_DEVIATIONS) return [output];
    return tf.split(output, 2, -1) as [tf.Tensor, tf.Tensor];
  }

  #deviation(variance: number, beta: number, learned?: tf.Tensor): number | tf.Tensor {
    if (!learned) return FIXED_DEVIATIONS[this.config.variance_type as keyof typeof FIXED_DEVIATIONS](variance, beta);
    if (this.config.variance_type === "learned") return learned.sqrt();
    // Between the two fixed variances, on a logarithmic scale (Nichol & Dhariwal 2021, eq. 15).
    const [low, high] = [Math.log(variance), Math.log(beta)];
    return learned.add(1).mul((high - low) / 2).add(low).mul(0.5).exp();
  }
}
