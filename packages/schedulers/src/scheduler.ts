import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "./noise.js";

/** Where a sampler stands between two steps. What it holds is its owner's to dispose of; states may share tensors. */
export type State = {
  readonly x: tf.Tensor;
  /** What a method remembers of earlier steps, newest first; empty for those that need nothing. */
  readonly history: tf.Tensor[];
};

/** A choice of noise levels to visit, with everything about them computed: numbers to print and plot. */
export interface Plan {
  /** What the network is told, one number a call. */
  readonly timesteps: readonly number[];
  /** Noise level before each call, sqrt((1 - alphaBar) / alphaBar), and after the last. */
  readonly sigmas: readonly number[];
  /** Standard deviation of the first x. */
  readonly initNoiseSigma: number;
  /** The first state, from standard normal noise. Borrows it. */
  start(noise: tf.Tensor): State;
  /** The state before step i, from a sample noised to that level. Borrows it. */
  resume(x: tf.Tensor, i: number): State;
  /** What the network is shown of x in call i; the caller owns it. */
  scaleInput(x: tf.Tensor, i: number): tf.Tensor;
  /** The state after step i. Pure: borrows everything, changes nothing but the noise source, which it draws from. */
  step(state: State, modelOutput: tf.Tensor, i: number, noise: NoiseSource, options?: StepOptions): State;
}

/** Options of single methods, named as in diffusers; a method ignores what is not its own. */
export interface StepOptions {
  /** DDIM: share of fresh noise, 0 (none) to 1 (as much as DDPM). */
  eta?: number;
  /** DDIM: derive the noise from the clipped clean sample (Nichol et al. 2022, GLIDE). */
  use_clipped_model_output?: boolean;
}

/** How many steps, or which timesteps, to plan. */
export type PlanRequest = number | { timesteps: readonly number[] } | { sigmas: readonly number[] };

/** An immutable sampling method, built from the config of a public `scheduler_config.json`. */
export interface Scheduler {
  /** Plain JSON that rebuilds this scheduler; `_class_name` names the method. */
  readonly config: { readonly _class_name: string } & Readonly<Record<string, unknown>>;
  /** alphaBar_t for t = 0 to T - 1. */
  readonly alphaBar: Float64Array;
  plan(request: PlanRequest): Plan;
  /** x_t for each sample of x0 [B, ...], at one timestep a sample or one for all; the caller owns it. */
  addNoise(x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]): tf.Tensor;
  /** The v that a network with v_prediction is trained to give; shapes as in addNoise. */
  velocity(x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]): tf.Tensor;
}
