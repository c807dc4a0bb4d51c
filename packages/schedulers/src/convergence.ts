import * as tf from "@tensorflow/tfjs";
import { type GaussianMixture, mixtureDenoiser } from "./mixture.js";
import type { NoiseSource } from "./noise.js";
import { combine } from "./combine.js";
import type { Plan, Scheduler } from "./scheduler.js";

/** A measured error: root mean square distance to a reference, after so many calls of the network. */
export type Measurement = {
  readonly steps: number;
  readonly calls: number;
  readonly error: number;
};

/**
 * Runs a plan with the exact denoiser of a mixture in place of a network, from its first x to its last.
 *
 * @param x the first x, [B, D], at the plan's first noise level; borrowed
 * @returns the last x, owned by the caller
 */
export function sampleMixture(plan: Plan, mixture: GaussianMixture, x: tf.Tensor2D, noise: NoiseSource): tf.Tensor2D {
  let state = plan.resume(x, 0);
  for (const i of plan.timesteps.keys()) {
    const next = tf.tidy(() => plan.step(state, exactEpsilon(plan, mixture, state.x as tf.Tensor2D, i), i, noise));
    tf.dispose(state);
    state = next;
  }
  tf.dispose(state.history);
  return state.x as tf.Tensor2D;
}

/** What a perfect network with prediction_type "epsilon" would answer in call i. */
function exactEpsilon(plan: Plan, mixture: GaussianMixture, x: tf.Tensor2D, i: number): tf.Tensor {
  const level = plan.levels[i]!;
  return combine([1 / level.sigma, x], [-level.alpha / level.sigma, mixtureDenoiser(mixture, x, level)]);
}

/**
 * How a deterministic sampler's error falls as steps grow, on a mixture: against the same sampler with `reference` steps.
 * The config's prediction_type must be "epsilon".
 *
 * @param x the first samples, [B, D]; borrowed
 */
export function measureConvergence(
  scheduler: Scheduler,
  mixture: GaussianMixture,
  x: tf.Tensor2D,
  noise: NoiseSource,
  { steps = [8, 16, 32, 64], reference = 512, planOf = (n: number) => scheduler.plan(n) } = {},
): Measurement[] {
  const run = (n: number) => sampleMixture(planOf(n), mixture, x, noise);
  return tf.tidy(() => {
    const want = run(reference);
    return steps.map((n) => ({
      steps: n,
      calls: planOf(n).timesteps.length,
      error: run(n).sub(want).square().mean().sqrt().dataSync()[0]!,
    }));
  });
}

/** Order of convergence: minus the slope of log error over log steps, by least squares. */
export function orderOfConvergence(measurements: readonly Measurement[]): number {
  const points = measurements.map(({ steps, error }) => [Math.log(steps), Math.log(error)] as const);
  const mean = (pick: 0 | 1) => points.reduce((sum, point) => sum + point[pick], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return -covariance / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}
