import * as tf from "@tensorflow/tfjs";
import { COMMON_DEFAULTS, type CommonConfig, ownConfig } from "./config.js";
import { type DiscreteStep, discretePlan, forwardProcess, requestedTimesteps, trainedAlphaBars } from "./discrete-plan.js";
import type { NoiseSource } from "./noise.js";
import { predict, requirePredictionType } from "./prediction.js";
import type { Plan, PlanRequest, Scheduler, StepOptions } from "./scheduler.js";
import { limitX0 } from "./thresholding.js";

export interface DDIMConfig extends CommonConfig {
  /** End at alphaBar 1 (a clean sample) rather than at that of timestep 0. */
  set_alpha_to_one: boolean;
}

const DEFAULTS: DDIMConfig = { ...COMMON_DEFAULTS, set_alpha_to_one: true };

/**
 * Denoising diffusion implicit models (Song et al. 2021): at each step the predicted clean sample is noised again, to
 * the next lower level, with the predicted noise instead of fresh noise. Deterministic at eta = 0; DDPM at eta = 1.
 */
export class DDIMScheduler implements Scheduler {
  readonly config: Scheduler["config"] & Readonly<DDIMConfig>;
  readonly alphaBar: Float64Array;
  readonly addNoise: Scheduler["addNoise"];
  readonly velocity: Scheduler["velocity"];

  constructor(config: Partial<DDIMConfig> = {}) {
    this.config = ownConfig("DDIMScheduler", DEFAULTS, config) as typeof this.config;
    requirePredictionType("DDIMScheduler", this.config.prediction_type);
    this.alphaBar = trainedAlphaBars(this.config);
    ({ addNoise: this.addNoise, velocity: this.velocity } = forwardProcess(this.alphaBar));
  }

  plan(request: PlanRequest): Plan {
    const timesteps = requestedTimesteps(request, this.config);
    // A whole stride down, which is not always the next entry of the list: so do diffusers and the paper's own code.
    const stride = typeof request === "number" ? Math.floor(this.config.num_train_timesteps / request) : undefined;
    const clean = this.config.set_alpha_to_one ? 1 : this.alphaBar[0]!;
    const steps = timesteps.map((t, i) => {
      const next = stride === undefined ? timesteps[i + 1] : t - stride;
      return { t, alphaBar: this.alphaBar[t]!, previous: (next === undefined ? undefined : this.alphaBar[next]) ?? clean };
    });
    return discretePlan(steps, (...args) => this.#update(...args));
  }

  /** x_s = sqrt(a_s) x0 + sqrt(1 - a_s - sigma^2) epsilon + sigma z, with sigma of eq. 16 (Song et al. 2021, eq. 12). */
  #update(
    x: tf.Tensor,
    output: tf.Tensor,
    { alphaBar: a, previous: b }: DiscreteStep,
    noise: NoiseSource,
    { eta = 0, use_clipped_model_output = false }: StepOptions,
  ): tf.Tensor {
    return tf.tidy(() => {
      const { x0: free, epsilon: predicted } = predict(this.config.prediction_type, output, x, a);
      const x0 = limitX0(free, this.config);
      const epsilon = use_clipped_model_output ? x.sub(x0.mul(Math.sqrt(a))).div(Math.sqrt(1 - a)) : predicted;
      const sigma = eta * Math.sqrt(((1 - b) / (1 - a)) * (1 - a / b));
      const moved = x0.mul(Math.sqrt(b)).add(epsilon.mul(Math.sqrt(1 - b - sigma ** 2)));
      return eta > 0 ? moved.add(noise.normal(x.shape).mul(sigma)) : moved;
    });
  }
}
