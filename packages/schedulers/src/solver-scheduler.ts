import type * as tf from "@tensorflow/tfjs";
import type { Quantity } from "./combine.js";
import { BETA_KEYS, type ConfigSpec, SIGMA_SCHEDULE_KEYS, THRESHOLDING_KEYS } from "./config.js";
import { epsilonBetween, epsilonOf, type Level, x0Of } from "./prediction.js";
import type { PlanOptions, PlanRequest } from "./scheduler.js";
import { interpolate, requestedSigmas, timestepOf, trainedSigmas } from "./sigma-schedule.js";
import type { NoiseLevels } from "./sigma-scheduler.js";
import {
  requireRequest,
  requireSigmas,
  requireStepCount,
  requireTimesteps,
  requireWithin,
  roundHalfEven,
  type TimestepSpacing,
} from "./spacing.js";
import { limited } from "./numerics/thresholding.js";
import { timeShift } from "./time-shift.js";
import { TrainedScheduler } from "./trained.js";
import { type TrainingRule, trainingLevel, uniformTimes } from "./training.js";

/** Keys that all exponential integrators share. */
export const SOLVER_KEYS = [
  ...BETA_KEYS,
  ...THRESHOLDING_KEYS,
  ...SIGMA_SCHEDULE_KEYS,
  "prediction_type",
  "lower_order_final",
  "use_flow_sigmas",
  "flow_shift",
] as const;
/** Keys that shift the noise levels by the size of the picture. */
export const DYNAMIC_SHIFT_KEYS = ["use_dynamic_shifting", "time_shift_type"] as const;

/**
 * A level with lambda = log(alpha / sigma), half its log signal-to-noise ratio: the time variable of the exponential
 * integrators (Lu et al. 2022).
 */
export interface SolverLevel extends Level {
  readonly lambda: number;
}

/**
 * A solver of the semi-linear diffusion equation on x = alpha x0 + sigma epsilon. Its noise levels are given as sigma /
 * alpha, or with use_flow_sigmas as sigma = 1 - alpha. Solvers override the methods in which they differ.
 */
export abstract class SolverScheduler<Config extends object> extends TrainedScheduler<Config> {
  readonly #sigmas: Float64Array;

  protected constructor(spec: ConfigSpec, given: object) {
    super(spec, given);
    this.#sigmas = trainedSigmas(this.alphaBar);
    if (this.settings.rescale_betas_zero_snr)
      this.#sigmas[this.#sigmas.length - 1] = Math.sqrt((1 - 2 ** -24) / 2 ** -24);
  }

  /** With use_flow_sigmas times are noise levels from 0 to 1, as in flow matching. */
  override get training(): TrainingRule {
    const { use_flow_sigmas, prediction_type, num_train_timesteps: T } = this.settings;
    if (!use_flow_sigmas) return super.training;
    return {
      predicts: prediction_type,
      drawTime: uniformTimes(),
      at: (sigma) => trainingLevel(prediction_type, { alpha: 1 - sigma, sigma }, sigma * T),
    };
  }

  /** The level with this sigma / alpha, or with use_flow_sigmas this sigma. */
  protected solverLevel(sigma: number): SolverLevel {
    const flow = this.settings.use_flow_sigmas;
    const alpha = flow ? 1 - sigma : 1 / Math.hypot(sigma, 1);
    const level = { alpha, sigma: flow ? sigma : sigma * alpha };
    return { ...level, lambda: Math.log(level.alpha / level.sigma) };
  }

  /** x0, limited as the config says. */
  protected x0({ output, x }: { output: tf.Tensor; x: tf.Tensor }, level: Level): Quantity {
    return limited(x0Of(this.settings.prediction_type, this.#meanOf(output, x), x, level), this.settings);
  }

  /** The noise; with thresholding, the noise that fits the limited x0. */
  protected epsilon(call: { output: tf.Tensor; x: tf.Tensor }, level: Level): Quantity {
    if (this.settings.thresholding) return epsilonBetween(this.x0(call, level), call.x, level);
    return this.unlimitedEpsilon(call, level);
  }

  /** The noise without thresholding. */
  protected unlimitedEpsilon({ output, x }: { output: tf.Tensor; x: tf.Tensor }, level: Level): Quantity {
    return epsilonOf(this.settings.prediction_type, this.#meanOf(output, x), x, level);
  }

  /** The output without a learned variance in the second half of its channels, which solvers do not use. */
  #meanOf(output: tf.Tensor, x: tf.Tensor): tf.Tensor {
    return output.shape.at(-1) === x.shape.at(-1) ? output : (output.split(2, -1)[0] as tf.Tensor);
  }

  /** Whether a step may end at a noise level of 0. */
  protected get reachesZero(): boolean {
    return true;
  }

  /** How timesteps are spaced. */
  protected get timestepSpacing(): TimestepSpacing {
    return this.settings.timestep_spacing;
  }

  /**
   * The last noise level of a plan that does not end at 0. `computed` are the levels before it, if they come from a
   * formula.
   */
  protected lastSigma(computed: readonly number[] | undefined): number {
    return computed ? computed.at(-1)! : this.leastTrainedSigma;
  }

  protected get leastTrainedSigma(): number {
    return this.#sigmas[0]!;
  }

  /** The noise levels of a request, as the config spaces them. */
  protected levels(request: PlanRequest, options: PlanOptions = {}): NoiseLevels {
    const { num_train_timesteps: T, use_flow_sigmas, final_sigmas_type, steps_offset } = this.settings;
    const { steps, timesteps: named, sigmas: given } = requireRequest(request, "steps", "timesteps", "sigmas");
    if (given) {
      requireSigmas(given);
      if (!this.reachesZero && given.at(-1) === 0) {
        throw new RangeError(
          `plan({ sigmas }): ${this.config._class_name} cannot step to a noise level of 0; end at a small one, such as 0.03.`,
        );
      }
      const timesteps = given
        .slice(0, -1)
        .map((sigma) => Math.floor(use_flow_sigmas ? sigma * T : this.timestepOf(sigma)));
      return { sigmas: given.map(Math.fround), timesteps };
    }
    if (named) requireTimesteps(named, T);
    else requireStepCount(steps, T);
    const n = named?.length ?? steps!;
    const own = requestedSigmas(this.settings, n, this.#sigmas.at(-1)!, this.#sigmas[0]!);
    if (named && (own || use_flow_sigmas)) {
      throw new RangeError(
        "plan({ timesteps }): this config computes its own noise levels; give a number of steps, or { sigmas }.",
      );
    }
    const computed = use_flow_sigmas ? (own?.map((sigma) => sigma / (sigma + 1)) ?? this.flowSigmas(n, options)) : own;
    const timesteps =
      computed?.map((sigma) => Math.trunc(use_flow_sigmas ? sigma * T : this.timestepOf(sigma))) ??
      named ??
      this.#spacedTimesteps(n);
    if (!computed) requireWithin(timesteps, T, steps_offset);
    const sigmas = computed ?? timesteps.map((t) => interpolate(this.#sigmas, t));
    const end = this.reachesZero && final_sigmas_type === "zero" ? 0 : this.lastSigma(computed);
    return { timesteps: [...timesteps], sigmas: [...sigmas, end].map(Math.fround) };
  }

  /** Timestep of a noise level, which a plan truncates to a whole number; rounded for Karras and Lu levels. */
  protected timestepOf(sigma: number): number {
    const { use_karras_sigmas, use_lu_lambdas } = this.settings;
    const t = this.fractionalTimestepOf(sigma);
    return use_karras_sigmas || use_lu_lambdas ? roundHalfEven(t) : t;
  }

  /** Timestep of a noise level, between the trained ones. */
  protected fractionalTimestepOf(sigma: number): number {
    return timestepOf(sigma, this.#sigmas);
  }

  /**
   * n timesteps, from spacings of n + 1 timesteps ("linspace", "leading") without the last, where the last step ends.
   */
  #spacedTimesteps(n: number): number[] {
    const { num_train_timesteps: T, steps_offset } = this.settings;
    const noisiest = this.noisiestTimestep();
    const range = Array.from({ length: n }, (_, i) => i);
    switch (this.timestepSpacing) {
      case "linspace":
        return range.map((i) => roundHalfEven(((n - i) * noisiest) / n));
      case "leading":
        return range.map((i) => (n - i) * Math.floor((noisiest + 1) / (n + 1)) + steps_offset);
      case "trailing":
        return range.map((i) => roundHalfEven(noisiest + 1 - i * (T / n)) - 1).filter((t) => t >= 0);
    }
  }

  /** The noisiest timestep whose lambda is not below lambda_min_clipped. */
  protected noisiestTimestep(): number {
    const least = this.settings.lambda_min_clipped ?? -Infinity;
    return this.#sigmas.reduce((noisiest, sigma, t) => (-Math.log(sigma) >= least ? t : noisiest), 0);
  }

  /** sigma / alpha of a timestep, between trained ones by interpolation. */
  protected trainedSigma(t: number): number {
    return interpolate(this.#sigmas, t);
  }

  /** n noise levels of a flow, evenly spaced and then shifted (Esser et al. 2024, eq. 23). */
  protected flowSigmas(n: number, { mu }: PlanOptions): number[] {
    return timeShift(this.evenFlowSigmas(n), this.settings, this.settings.flow_shift, mu);
  }

  /** Evenly spaced in sigma = 1 - alpha, the first below 1 by one timestep. */
  protected evenFlowSigmas(n: number): number[] {
    return fallToLastTimestep(n, this.settings.num_train_timesteps)
      .slice(1)
      .reverse()
      .map((alpha) => 1 - alpha);
  }
}

/**
 * n + 1 numbers from 1 to 1 / T. They are summed up as published, because timesteps are truncated afterwards and the
 * last bit can change the result.
 */
export function fallToLastTimestep(n: number, T: number): number[] {
  return Array.from({ length: n + 1 }, (_, i) => (i === n ? 1 / T : 1 + i * ((1 / T - 1) / n)));
}
