import * as tf from "@tensorflow/tfjs";
import { type Network, replayNoise, runPlan, type Scheduler } from "@tfjs-diffusion/schedulers";
import { valuesAtOnce } from "../platform/values-at-once.js";

/** What {@link straightness} needs. */
export interface StraightnessOptions<X extends tf.Tensor = tf.Tensor4D> {
  /** A scheduler of flow matching that calls the network once a step, such as FlowMatchEulerDiscreteScheduler. */
  scheduler: Scheduler;
  /** The network, which gives velocities noise - x0. */
  model: Network<X>;
  /** Standard normal noise, [B, ...], where the paths begin. Borrowed. */
  start: X;
  /** Steps along each path. Default 100. */
  steps?: number;
}

/**
 * How far the paths of a flow are from straight lines (Liu et al. 2023, section 2.2): the mean over paths and times of
 * |(x_1 - x_0) - v(x_t)|^2, a number. If it is 0, one step of Euler's method gives the same result as any number of
 * steps.
 *
 * @throws RangeError for a scheduler whose networks give no velocity, or that calls them more than once a step
 */
export function straightness<X extends tf.Tensor = tf.Tensor4D>(options: StraightnessOptions<X>): number {
  const { scheduler, model, start, steps = 100 } = options;
  const plan = scheduler.plan(steps);
  if (scheduler.training?.predicts !== "flow_prediction" || plan.stepStarts.length !== plan.timesteps.length) {
    throw new RangeError(
      `straightness: ${scheduler.config._class_name} does not follow velocities with one call of the network per step. ` +
        "Use FlowMatchEulerDiscreteScheduler.",
    );
  }
  return tf.tidy(() => {
    const velocities: tf.Tensor[] = [];
    const recording: Network<X> = (shown, timesteps) => {
      velocities.push(tf.keep(model(shown, timesteps).clone()));
      return velocities.at(-1)!;
    };
    try {
      const displacement = start.sub(runPlan(plan, recording, start, replayNoise([])));
      const [first, last] = [plan.sigmas[0]!, plan.sigmas.at(-1)!];
      const terms = velocities.map((velocity, i) =>
        displacement
          .div(first - last)
          .sub(velocity)
          .square()
          .mean()
          .mul(plan.sigmas[i]! - plan.sigmas[i + 1]!),
      );
      return valuesAtOnce("straightness", tf.addN(terms))[0]! / (first - last);
    } finally {
      tf.dispose(velocities);
    }
  });
}
