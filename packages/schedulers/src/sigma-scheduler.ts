import type * as tf from "@tensorflow/tfjs";
import { type Quantity, type Sum, sum } from "./combine.js";
import type { ConfigSpec } from "./config.js";
import { makePlan, type PlanParts } from "./plan.js";
import { type Level, x0Of } from "./prediction.js";
import { requestedSigmas, interpolate, timestepOf, trainedSigmas } from "./sigma-schedule.js";
import type { Plan, PlanRequest } from "./scheduler.js";
import { requireRequest, requireSigmas, requireStepCount, requireWithin, spacedTimesteps } from "./spacing.js";
import { TrainedScheduler } from "./trained.js";
import { type TrainingRule, trainingLevel } from "./training.js";

/** Noise levels to visit, one more than timesteps: the last step ends at the last level. */
export interface NoiseLevels {
  readonly timesteps: number[];
  readonly sigmas: number[];
}

/** The arguments of {@link SigmaScheduler.sigmaPlan}. */
export type SigmaPlanParts = Pick<PlanParts, "timesteps" | "sigmas" | "stepStarts" | "update"> & {
  readonly callSigmas?: readonly number[];
};

/** d = (x - D(x; sigma)) / sigma (Karras et al. 2022, eq. 3). */
export function slopeAt(x: tf.Tensor, denoised: Quantity, sigma: number): Sum {
  return sum([1 / sigma, sum([1, x], [-1, denoised])]);
}

/**
 * A scheduler in the coordinates of Karras et al. 2022: x = x0 + sigma epsilon. The network's input is x / sqrt(sigma^2
 * + 1), which has the variance of its training. Timesteps may be fractions.
 */
export abstract class SigmaScheduler<Config extends object> extends TrainedScheduler<Config> {
  readonly #sigmas: Float64Array;

  protected constructor(spec: ConfigSpec, given: object) {
    super(spec, given);
    this.#sigmas = trainedSigmas(this.alphaBar);
    // Pure noise has an infinite sigma; it is replaced by a large finite one.
    if (this.settings.rescale_betas_zero_snr)
      this.#sigmas[this.#sigmas.length - 1] = Math.sqrt((1 - 2 ** -24) / 2 ** -24);
  }

  /** The network's input is scaled in training, too, which gives the variance-preserving process. */
  override get training(): TrainingRule {
    const at = (t: number) => {
      const level = this.levelAt(t);
      return trainingLevel(this.settings.prediction_type, level, t, inputScaleOf(level.sigma));
    };
    return { ...super.training, at };
  }

  /** Noise level of a timestep, which may be a fraction. */
  protected override levelAt(t: number): Level {
    return { alpha: 1, sigma: interpolate(this.#sigmas, t) };
  }

  /** D(x; sigma): the clean sample that the network's output implies (Karras et al. 2022, eq. 7). */
  protected denoised(output: tf.Tensor, x: tf.Tensor, sigma: number): Quantity {
    return x0Of(this.settings.prediction_type, output, x, { alpha: 1, sigma });
  }

  /** d = dx / dsigma, the slope of the probability flow that the network's output implies. */
  protected slope(output: tf.Tensor, x: tf.Tensor, sigma: number): Sum {
    return slopeAt(x, this.denoised(output, x, sigma), sigma);
  }

  /** Timestep of a noise level, a fraction in general. */
  protected timestepOf(sigma: number): number {
    return Math.fround(timestepOf(sigma, this.#sigmas));
  }

  /** The lowest and the highest trained noise level. */
  protected get trainedRange(): { min: number; max: number } {
    return { min: this.#sigmas[0]!, max: this.#sigmas.at(-1)! };
  }

  /** The first and the last of the noise levels that a config computes. */
  protected rangeOf(spaced: readonly number[]): { min: number; max: number } {
    return { max: spaced[0]!, min: spaced.at(-1)! };
  }

  /** The noise levels of a request, as the config spaces them. */
  protected levels(request: PlanRequest): NoiseLevels {
    const { num_train_timesteps: T, timestep_spacing, steps_offset, final_sigmas_type } = this.settings;
    const { steps, timesteps: named, sigmas: given } = requireRequest(request, "steps", "timesteps", "sigmas");
    if (given) {
      requireSigmas(given);
      return { sigmas: given.map(Math.fround), timesteps: given.slice(0, -1).map((sigma) => this.timestepOf(sigma)) };
    }
    if (named) requireFalling(named, T);
    else requireStepCount(steps, T);
    const spaced = named ? [...named] : spacedTimesteps(timestep_spacing, steps!, T, steps_offset, (t) => t);
    requireWithin(spaced, T, steps_offset);
    const own = spaced.map((t) => interpolate(this.#sigmas, t));
    const { max, min } = this.rangeOf(own);
    const requested = requestedSigmas(this.settings, own.length, max, min);
    if (requested && named) {
      throw new RangeError(
        "plan({ timesteps }): this config computes its own noise levels; give a number of steps, or { sigmas }.",
      );
    }
    const end = final_sigmas_type === "zero" ? 0 : this.trainedRange.min;
    return {
      sigmas: [...(requested ?? own), end].map(Math.fround),
      timesteps: requested ? requested.map((sigma) => this.timestepOf(sigma)) : spaced.map(Math.fround),
    };
  }

  /**
   * The plan of a method in these coordinates: `sigmas` is the noise level before each step and after the last;
   * `callSigmas` is that of x before each call, if steps make several calls; `update` is the method.
   */
  protected sigmaPlan({ callSigmas, ...parts }: SigmaPlanParts): Plan {
    const at = callSigmas ?? parts.sigmas;
    return makePlan({
      ...parts,
      initNoiseSigma: this.#initNoiseSigma(parts.sigmas),
      level: (i) => ({ alpha: 1, sigma: at[i]! }),
      inputScale: (i) => inputScaleOf(at[i]!),
    });
  }

  /**
   * Standard deviation of the first x. "leading" does not start at pure noise and adds the variance of the data.
   */
  #initNoiseSigma(sigmas: readonly number[]): number {
    const max = Math.max(...sigmas);
    return this.settings.timestep_spacing === "leading" ? Math.hypot(max, 1) : max;
  }
}

function requireFalling(timesteps: readonly number[], T: number): void {
  const bad = timesteps.findIndex((t, i) => !(t >= 0 && t <= T - 1) || (i > 0 && t >= timesteps[i - 1]!));
  if (timesteps.length === 0 || bad >= 0) {
    throw new RangeError(
      `plan({ timesteps }): ${bad < 0 ? "the list is empty" : `entry ${bad} is ${timesteps[bad]}`}; ` +
        `give numbers from ${T - 1} down to 0, each smaller than the one before.`,
    );
  }
}

/** The factor from x = x0 + sigma epsilon to the network's input, which has variance 1. */
const inputScaleOf = (sigma: number): number => 1 / Math.hypot(sigma, 1);
