import type * as tf from "@tensorflow/tfjs";
import { type ConfigSpec, readConfig, type Settings } from "./config.js";
import { mixPerSample } from "./forward.js";
import type { NoiseSource } from "./noise/noise.js";
import { type Level, predictX0 } from "./prediction.js";
import { DEFAULT_TRAITS, type SchedulerTraits } from "./traits.js";
import { type TrainingExample, trainingExample, type TrainingRule } from "./training.js";

/** The state of a sampler between two steps. It owns its tensors: `tf.dispose(state)` is always safe. */
export type State = {
  readonly x: tf.Tensor;
  /** What a method remembers of earlier steps, newest first; empty for those that need nothing. */
  readonly history: tf.Tensor[];
};

/** The noise levels to visit, and the steps between them. All of it is numbers, to print and plot. */
export interface Plan {
  /** The timestep that the network gets, for each call. */
  readonly timesteps: readonly number[];
  /**
   * The calls that begin a step of the method, from 0: one number a step. All calls, unless a step makes several. A run
   * can be taken up only there.
   */
  readonly stepStarts: readonly number[];
  /**
   * Noise level before each step of the method, and after the last: sigma / alpha, or sigma itself for flow matching.
   */
  readonly sigmas: readonly number[];
  /** Noise level of x before each call: x = alpha x0 + sigma epsilon. */
  readonly levels: readonly Level[];
  /** Standard deviation of the first x. */
  readonly initNoiseSigma: number;
  /** The first state, from standard normal noise. Borrows it. */
  start(noise: tf.Tensor): State;
  /** The state before step i, from a sample noised to that level. Borrows it. */
  resume(x: tf.Tensor, i: number): State;
  /** A clean sample noised to the level before step i, ready for `resume`; the caller owns it. */
  addNoise(x0: tf.Tensor, noise: tf.Tensor, i: number): tf.Tensor;
  /** The network's input in call i: x, scaled. The caller owns it. */
  scaleInput(x: tf.Tensor, i: number): tf.Tensor;
  /** The state after step i. Pure: borrows everything, changes nothing but the noise source, which it draws from. */
  step(state: State, modelOutput: tf.Tensor, i: number, noise: NoiseSource, options?: StepOptions): State;
}

/** Options of single methods, named as in diffusers. A method ignores those of others. */
export interface StepOptions {
  /**
   * DDIM: share of fresh noise, 0 (none, and the default) to 1 (as much as DDPM). TCD: gamma, 0 to 1, 0.3 unless given.
   */
  eta?: number;
  /** DDIM: derive the noise from the clipped clean sample (Nichol et al. 2022, GLIDE). */
  use_clipped_model_output?: boolean;
  /**
   * Euler and flow Heun: noise that is added before each step (Karras et al. 2022, algorithm 2), where sigma is in
   * [s_tmin, s_tmax].
   */
  s_churn?: number;
  s_tmin?: number;
  s_tmax?: number;
  s_noise?: number;
  /** LMS: how many slopes to use, 1 to 4. */
  order?: number;
  /** RePaint: the picture to keep, and where: mask 1 keeps, 0 paints. */
  original_image?: tf.Tensor;
  mask?: tf.Tensor;
}

/** How many steps, or which timesteps or noise levels, to plan. */
export type PlanRequest = number | { timesteps: readonly number[] } | { sigmas: readonly number[] };

/** Options of single methods for a plan, named as in diffusers. */
export interface PlanOptions {
  /** Flow matching with use_dynamic_shifting: log of the shift, which depends on the picture's size. */
  mu?: number;
  /** RePaint: how far to jump back, and how often each stretch is done. */
  jump_length?: number;
  jump_n_sample?: number;
  /** LCM and TCD: steps of the sampler that was distilled, if not the config's. */
  original_inference_steps?: number;
  /**
   * DPM-Solver of order 3: how the output's curvature is weighed. "published", the default, as in the papers' code and
   * diffusers, where a factor 2 of the multi-step form and a sign of the stochastic forms are lost, and with them the
   * third order; "exact" as derived.
   */
  curvature?: "published" | "exact";
}

/** An immutable sampling method, built from the config of a public `scheduler_config.json`. */
export interface Scheduler {
  /** Plain JSON that rebuilds this scheduler; `_class_name` names the method. */
  readonly config: { readonly _class_name: string } & Readonly<Record<string, unknown>>;
  /** alphaBar_t for t = 0 to T - 1: the share of signal variance, alpha^2 / (alpha^2 + sigma^2). */
  readonly alphaBar: Float64Array;
  /** What the method is for; absent: {@link DEFAULT_TRAITS}. */
  readonly traits?: SchedulerTraits;
  /**
   * The same method with some settings changed. Pipelines ask for settings that their networks need; a scheduler
   * without this function is used as it is.
   */
  withConfig?(changes: Readonly<Record<string, unknown>>): Scheduler;
  /**
   * The levels to visit, and the method's steps between them.
   *
   * @throws RangeError when the request is not one this method can walk: steps from 1 to T, timesteps and sigmas
   *   falling
   */
  plan(request: PlanRequest, options?: PlanOptions): Plan;
  /** x_t for each sample of x0 [B, ...], at one timestep a sample or one for all; the caller owns it. */
  addNoise(x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]): tf.Tensor;
  /** The v that a network with v_prediction is trained to give; shapes as in addNoise. */
  velocity(x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]): tf.Tensor;
  /**
   * How a network is trained for this sampler: what it is shown, told and asked for. The getter throws
   * SchedulerConfigError where no regression trains such a network.
   */
  readonly training?: TrainingRule;
  /**
   * The clean sample that a network's output implies for x, at a noise level such as `plan.levels[i]`: as the config's
   * prediction type says, and not limited in any way. The caller owns it. Absent: {@link predictX0} says it.
   */
  predictX0?(output: tf.Tensor, x: tf.Tensor, level: Level): tf.Tensor;
}

/**
 * What all schedulers share: a checked config and the forward process at any timestep. A class of one's own gives
 * `alphaBar`, `levelAt` and `plan`; its constructor takes the config.
 */
export abstract class BaseScheduler<Config extends object> implements Scheduler {
  /** The keys of the spec, given or by default, and the keys of other methods as they were given. */
  readonly config: Scheduler["config"] & Readonly<Config>;
  abstract readonly alphaBar: Float64Array;
  /** What the method is for, by its default config. A class of one's own has these unless it states others. */
  static readonly traits: SchedulerTraits = DEFAULT_TRAITS;
  /** Every public key: the value in `config`, or one that changes nothing where the spec has no such key. */
  protected readonly settings: Settings;

  /** @throws SchedulerConfigError on a key that is not known, and on a value that its key cannot have */
  protected constructor(spec: ConfigSpec, given: object) {
    const { config, settings } = readConfig(spec, given);
    this.config = config as unknown as typeof this.config;
    this.settings = settings;
  }

  withConfig(changes: Readonly<Record<string, unknown>>): this {
    return new (this.constructor as new (config: object) => this)({ ...this.config, ...changes });
  }

  /** The traits of the class; a method whose config changes them overrides this. */
  get traits(): SchedulerTraits {
    return (this.constructor as typeof BaseScheduler).traits;
  }

  /**
   * The levels to visit, and the method's steps between them. Throws RangeError on a request that the method cannot
   * walk.
   */
  abstract plan(request: PlanRequest, options?: PlanOptions): Plan;

  /** Noise level of a timestep. */
  protected abstract levelAt(t: number): Level;

  abstract get training(): TrainingRule;

  /** A batch to train on at given times, one a sample: see {@link trainingExample}. The caller owns both tensors. */
  trainingExample(x0: tf.Tensor, noise: tf.Tensor, times: readonly number[]): TrainingExample {
    return trainingExample(this.training, x0, noise, times);
  }

  predictX0(output: tf.Tensor, x: tf.Tensor, level: Level): tf.Tensor {
    return predictX0(this.settings.prediction_type, output, x, level);
  }

  addNoise(x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]): tf.Tensor {
    const levels = timesteps.map((t) => this.levelAt(t));
    return mixPerSample([x0, levels.map(({ alpha }) => alpha)], [noise, levels.map(({ sigma }) => sigma)]);
  }

  velocity(x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]): tf.Tensor {
    const levels = timesteps.map((t) => this.levelAt(t));
    return mixPerSample(
      [x0, levels.map(({ alpha, sigma }) => -sigma / Math.hypot(alpha, sigma))],
      [noise, levels.map(({ alpha, sigma }) => alpha / Math.hypot(alpha, sigma))],
    );
  }
}
