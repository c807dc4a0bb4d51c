import type * as tf from "@tensorflow/tfjs";
import type { CommonConfig } from "./config.js";
import { diffuse, velocityOf } from "./forward.js";
import type { NoiseSource } from "./noise.js";
import { alphaBars, betas, rescaleZeroTerminalSnr, sigmaOf } from "./schedule.js";
import type { Plan, PlanRequest, State, StepOptions } from "./scheduler.js";
import { requireStepCount, requireTimesteps, spacedTimesteps } from "./spacing.js";

/** alphaBar of every trained timestep. */
export function trainedAlphaBars(config: CommonConfig): Float64Array {
  const trained = betas(config);
  return alphaBars(config.rescale_betas_zero_snr ? rescaleZeroTerminalSnr(trained) : trained);
}

/** The forward process of schedulers whose noise levels are the trained timesteps, for them to hand on. */
export function forwardProcess(alphaBar: Float64Array) {
  const levels = (timesteps: readonly number[]) => timesteps.map((t) => levelOf(alphaBar, t));
  return {
    addNoise: (x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]) => diffuse(x0, noise, levels(timesteps)),
    velocity: (x0: tf.Tensor, noise: tf.Tensor, timesteps: readonly number[]) => velocityOf(x0, noise, levels(timesteps)),
  };
}

function levelOf(alphaBar: Float64Array, t: number): number {
  const level = alphaBar[t];
  if (level === undefined) {
    throw new RangeError(`Timestep ${t} is none of the trained ones; give whole numbers from 0 to ${alphaBar.length - 1}.`);
  }
  return level;
}

/** The timesteps that a request names or that the config's spacing picks. */
export function requestedTimesteps(request: PlanRequest, config: CommonConfig): number[] {
  const T = config.num_train_timesteps;
  if (typeof request === "number") {
    requireStepCount(request, T);
    const timesteps = spacedTimesteps(config.timestep_spacing, request, T, config.steps_offset);
    requireTimesteps(timesteps, T);
    return timesteps;
  }
  if ("timesteps" in request) {
    requireTimesteps(request.timesteps, T);
    return [...request.timesteps];
  }
  throw new RangeError("plan({ sigmas }): this method visits trained timesteps; give { timesteps } or a number of steps.");
}

/** One step of a discrete method: from noise level alphaBar at timestep t to level `previous`. */
export interface DiscreteStep {
  readonly t: number;
  readonly alphaBar: number;
  readonly previous: number;
}

/** The plan of a method that goes from one alphaBar to the next and remembers nothing but x. */
export function discretePlan(
  steps: readonly DiscreteStep[],
  update: (x: tf.Tensor, output: tf.Tensor, step: DiscreteStep, noise: NoiseSource, options: StepOptions) => tf.Tensor,
): Plan {
  const stateOf = (x: tf.Tensor): State => ({ x, history: [] });
  return {
    timesteps: steps.map(({ t }) => t),
    sigmas: [...steps.map(({ alphaBar }) => alphaBar), steps[steps.length - 1]!.previous].map(sigmaOf),
    initNoiseSigma: 1,
    start: (noise) => stateOf(noise.clone()),
    resume: (x) => stateOf(x.clone()),
    scaleInput: (x) => x.clone(),
    step: ({ x }, output, i, noise, options = {}) => {
      const step = steps[i];
      if (!step) throw new RangeError(`step ${i}: this plan has steps 0 to ${steps.length - 1}.`);
      return stateOf(update(x, output, step, noise, options));
    },
  };
}
