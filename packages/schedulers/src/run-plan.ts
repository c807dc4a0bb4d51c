import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "./noise/noise.js";
import type { Plan, StepOptions } from "./scheduler.js";

/** A network as a function: what it is shown, [B, ...], and what it is told of each sample, to its output. */
export type Network<X extends tf.Tensor = tf.Tensor> = (shown: X, timesteps: number[]) => tf.Tensor;

/**
 * Walks a plan from noise to its end, with a function as network.
 *
 * @param start standard normal noise, [B, ...]; borrowed
 * @param noise where the steps of a stochastic method draw from
 * @returns the samples, [B, ...]; the caller owns them
 */
export function runPlan<X extends tf.Tensor>(
  plan: Plan,
  network: Network<X>,
  start: X,
  noise: NoiseSource,
  options?: StepOptions,
): X {
  let state = plan.start(start);
  try {
    for (const [i, timestep] of plan.timesteps.entries()) {
      const next = tf.tidy(() => {
        const shown = plan.scaleInput(state.x, i) as X;
        const output = network(shown, Array<number>(start.shape[0]).fill(timestep));
        return plan.step(state, output, i, noise, options);
      });
      tf.dispose(state);
      state = next;
    }
    return state.x.clone() as X;
  } finally {
    tf.dispose(state);
  }
}
