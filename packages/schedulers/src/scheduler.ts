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
  /** Tensors that the method needs from earlier steps, newest first; empty for methods that need none. */
  readonly history: tf.Tensor[];
};

/**
 * The noise levels to visit, and the steps between them. All properties are numbers that can be printed and plotted.
 */
export interface Plan {
  /** The timestep that the network gets, for each call. */
  readonly timesteps: readonly number[];
  /**
   * The indices of the calls that begin a step of the method, starting with 0. They are all calls, unless steps make
   * several calls. A run can be resumed only at one of them.
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
  /** The state before step i, from a noisy sample of that level. Borrows it. */
  resume(x: tf.Tensor, i: number): State;
  /** Adds noise to a clean sample, to the level before step i, for `resume`. The caller owns the result. */
  addNoise(x0: tf.Tensor, noise: tf.Tensor, i: number): tf.Tensor;
  /** The network's input in call i: x, scaled. The caller owns it. */
  scaleInput(x: tf.Tensor, i: number): tf.Tensor;
  /**
   * The state after step i. Pure: it borrows its arguments, and changes only the source of noise, from which it draws.
   */
  step(state: State, modelOutput: tf.Tensor, i: number, noise: NoiseSource, options?: StepOptions): State;
}

/** Options of a step, named as in diffusers. A method ignores the options of others. */
export interface StepOptions {
  /**
   * DDIM: share of fresh noise, 0 (none, the default) to 1 (as much as DDPM). TCD: gamma, 0 to 1, default 0.3.
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
  /** LMS: number of slopes to use, 1 to 4, default 4. */
  order?: number;
  /** RePaint: the picture to keep. `mask` is 1 where it is kept and 0 where it is repainted. */
  original_image?: tf.Tensor;
  mask?: tf.Tensor;
}

/** What to plan: a number of steps, or the timesteps or noise levels to visit, in a list or a typed array. */
export type PlanRequest = number | { timesteps: ArrayLike<number> } | { sigmas: ArrayLike<number> };

/** Options of a plan, named as in diffusers. A method ignores the options of others. */
export interface PlanOptions {
  /** Flow matching with use_dynamic_shifting: log of the shift, which depends on the picture's size. */
  mu?: number;
  /** RePaint: how many steps to jump back, and how often each section is walked. */
  jump_length?: number;
  jump_n_sample?: number;
  /** LCM and TCD: number of steps of the sampler that was distilled. Default: the config's. */
  original_inference_steps?: number;
  /**
   * DPM-Solver of order 3: the weight of the output's curvature. "published" (the default) is that of the papers' code
   * and of diffusers, which lacks a factor of 2 in the multi-step form and has a wrong sign in the stochastic forms,
   * and so does not reach third order. "exact" is the derived weight.
   */
  curvature?: "published" | "exact";
}

/** An immutable sampling method, built from the config of a public `scheduler_config.json`. */
export interface Scheduler {
  /** Plain JSON that rebuilds this scheduler; `_class_name` names the method. */
  readonly config: { readonly _class_name: string } & Readonly<Record<string, unknown>>;
  /** alphaBar_t for t = 0 to T - 1: the share of signal variance, alpha^2 / (alpha^2 + sigma^2). */
  readonly alphaBar: Float64Array;
  /** What the method can do. Default: {@link DEFAULT_TRAITS}. */
  readonly traits?: SchedulerTraits;
  /**
   * Returns the same method with some settings changed. Pipelines use it for settings that their networks need; a
   * scheduler without this function is used unchanged.
   */
  withConfig?(changes: Readonly<Record<string, unknown>>): Scheduler;
  /**
   * Plans the levels to visit and the method's steps between them.
   *
   * @throws RangeError unless the method can do the request: 1 to T steps, timesteps or sigmas in descending order
   */
  plan(request: PlanRequest, options?: PlanOptions): Plan;
  /** x_t for each sample of x0 [B, ...], at one timestep for each or one for all; the caller owns it. */
  addNoise(x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]): tf.Tensor;
  /** The target v of a network with v_prediction; shapes as in addNoise. */
  velocity(x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]): tf.Tensor;
  /**
   * How a network is trained for this sampler: its input, its time input and its target. The getter throws
   * SchedulerConfigError if such networks are not trained by regression.
   */
  readonly training?: TrainingRule;
  /**
   * The clean sample that a network's output implies for x, at a noise level such as `plan.levels[i]`: by the config's
   * prediction type, not clipped. The caller owns it. Default: {@link predictX0}.
   */
  predictX0?(output: tf.Tensor, x: tf.Tensor, level: Level): tf.Tensor;
}

/**
 * The base of all schedulers: a checked config, and the forward process at any timestep. A subclass defines `alphaBar`,
 * `levelAt` and `plan`; its constructor takes the config.
 */
export abstract class BaseScheduler<Config extends object> implements Scheduler {
  /** The keys of the spec, given or by default, and the given keys of other methods. */
  readonly config: Scheduler["config"] & Readonly<Config>;
  abstract readonly alphaBar: Float64Array;
  /** The traits of the method with its default config. A subclass inherits these unless it defines others. */
  static readonly traits: SchedulerTraits = DEFAULT_TRAITS;
  /** Every public key: the value in `config`, or a neutral value if the spec does not have the key. */
  protected readonly settings: Settings;

  /** @throws SchedulerConfigError for an unknown key, and for a value that its key does not allow */
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
   * Plans the levels to visit and the method's steps between them.
   * @throws RangeError for a request that the method cannot do
   */
  abstract plan(request: PlanRequest, options?: PlanOptions): Plan;

  /** Noise level of a timestep. */
  protected abstract levelAt(t: number): Level;

  abstract get training(): TrainingRule;

  /** A batch to train on, with one time for each sample: see {@link trainingExample}. The caller owns both tensors. */
  trainingExample(x0: tf.Tensor, noise: tf.Tensor, times: ArrayLike<number>): TrainingExample {
    return trainingExample(this.training, x0, noise, times);
  }

  predictX0(output: tf.Tensor, x: tf.Tensor, level: Level): tf.Tensor {
    return predictX0(this.settings.prediction_type, output, x, level);
  }

  addNoise(x0: tf.Tensor, noise: tf.Tensor, timesteps: ArrayLike<number>): tf.Tensor {
    const levels = Array.from(timesteps, (t) => this.levelAt(t));
    return mixPerSample([x0, levels.map(({ alpha }) => alpha)], [noise, levels.map(({ sigma }) => sigma)]);
  }

  velocity(x0: tf.Tensor, noise: tf.Tensor, timesteps: ArrayLike<number>): tf.Tensor {
    const levels = Array.from(timesteps, (t) => this.levelAt(t));
    return mixPerSample(
      [x0, levels.map(({ alpha, sigma }) => -sigma / Math.hypot(alpha, sigma))],
      [noise, levels.map(({ alpha, sigma }) => alpha / Math.hypot(alpha, sigma))],
    );
  }
}
