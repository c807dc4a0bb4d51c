import * as tf from "@tensorflow/tfjs";
import { type GaussianMixture, mixtureDenoiser } from "./mixture.js";
import type { NoiseSource } from "../noise/noise.js";
import { type Level, outputFor, type PredictionType } from "../prediction.js";
import { exactFlow } from "./probability-flow.js";
import { replayNoise } from "../noise/replay-noise.js";
import type { Plan, Scheduler, StepOptions } from "../scheduler.js";

/** A measured error: root mean square distance to a reference, after this many calls of the network. */
export type Measurement = {
  readonly steps: number;
  readonly calls: number;
  readonly error: number;
};

/**
 * Runs all steps of a plan with the exact denoiser of a mixture in place of a network.
 *
 * @param x the first x, [B, D], at the plan's first noise level; borrowed
 * @param predicts the prediction type that the scheduler expects of its network
 * @returns the last x, owned by the caller
 */
export function sampleMixture(
  plan: Plan,
  mixture: GaussianMixture,
  x: tf.Tensor2D,
  noise: NoiseSource,
  predicts: PredictionType = "epsilon",
  options?: StepOptions,
): tf.Tensor2D {
  let state = plan.resume(x, 0);
  for (const [i, level] of plan.levels.entries()) {
    const next = tf.tidy(() => {
      const x0 = mixtureDenoiser(mixture, state.x as tf.Tensor2D, level);
      return plan.step(state, outputFor(predicts, x0, state.x, level), i, noise, options);
    });
    tf.dispose(state);
    state = next;
  }
  tf.dispose(state.history);
  return state.x as tf.Tensor2D;
}

/**
 * Measures how a deterministic sampler's error falls with the number of steps, against the exact probability flow of a
 * mixture.
 *
 * @param noise standard normal numbers, [B, D], scaled to each plan's first noise level; borrowed
 * @param options.steps the numbers of steps to try
 * @param options.planOf makes the plan of n steps; default `scheduler.plan(n)`
 * @param options.predicts the prediction type that the scheduler expects of its network
 */
export function measureConvergence(
  scheduler: Scheduler,
  mixture: GaussianMixture,
  noise: tf.Tensor2D,
  options: { steps?: readonly number[]; planOf?: (n: number) => Plan; predicts?: PredictionType } = {},
): Measurement[] {
  const { steps = [8, 16, 32, 64], planOf = (n: number) => scheduler.plan(n), predicts = "epsilon" } = options;
  const flow = new Map<string, number[][]>();
  return steps.map((n) => {
    const plan = planOf(n);
    const [first, end] = [plan.levels[0]!, plan.sigmas.at(-1)!];
    const key = `${first.alpha} ${first.sigma} ${end}`;
    const wanted = flow.get(key) ?? exactEnds(first, end, mixture, noise);
    flow.set(key, wanted);
    return { steps: n, calls: plan.timesteps.length, error: errorOf(plan, wanted, mixture, noise, predicts) };
  });
}

/**
 * The exact results: normal numbers at the level `first`, moved along the flow to sigma / alpha = `end`, as x / alpha.
 */
function exactEnds(first: Level, end: number, mixture: GaussianMixture, noise: tf.Tensor2D): number[][] {
  // In float32, like the samplers' first x.
  const starts = noise.arraySync().map((row) => row.map((z) => Math.fround(z * first.sigma) / first.alpha));
  return starts.map((y) => exactFlow(mixture, y, first.sigma / first.alpha, end));
}

/** Root mean square distance between the plan's results and the exact ones, in x / alpha. */
function errorOf(
  plan: Plan,
  wanted: readonly (readonly number[])[],
  mixture: GaussianMixture,
  noise: tf.Tensor2D,
  predicts: PredictionType,
): number {
  const [first, end] = [plan.levels[0]!, plan.sigmas.at(-1)!];
  // alpha at the end: 1 for variance-exploding plans, and for flow matching, which ends at sigma 0; computed for the
  // others.
  const alphaAtEnd = first.alpha === 1 ? 1 : 1 / Math.hypot(end, 1);
  const got = tf.tidy(() => {
    const last = sampleMixture(plan, mixture, noise.mul<tf.Tensor2D>(first.sigma), SILENCE, predicts);
    return last.div<tf.Tensor2D>(alphaAtEnd).arraySync();
  });
  const squares = wanted.flatMap((row, b) => row.map((value, d) => (got[b]![d]! - value) ** 2));
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

/** Deterministic samplers draw no noise. */
const SILENCE = replayNoise([]);

/** Order of convergence: minus the slope of log error over log steps, by least squares. */
export function orderOfConvergence(measurements: readonly Measurement[]): number {
  const points = measurements.map(({ steps, error }) => [Math.log(steps), Math.log(error)] as const);
  const mean = (pick: 0 | 1) => points.reduce((sum, point) => sum + point[pick], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return -covariance / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}
