import * as tf from "@tensorflow/tfjs";
import { impliedX0, type Network } from "@tfjs-diffusion/schedulers";
import { type ForwardProcess, trainingOf } from "./denoising-loss.js";
import { perSample } from "./per-sample.js";

/** One batch of {@link latentConsistencyLoss}. */
export interface LatentConsistencyOptions<X extends tf.Tensor = tf.Tensor4D> {
  /** A scheduler on whole timesteps, with the noise schedule of the LCMScheduler that will draw. */
  scheduler: ForwardProcess;
  /** The network that learns to jump to the end. */
  student: Network<X>;
  /** Points on trajectories, [B, ...], such as {@link ddimTrajectory} visits. Borrowed. */
  x: X;
  /** The timestep of each, in [0, T). */
  timesteps: number[];
  /** Where these trajectories end, [B, ...]. Borrowed. */
  ends: X;
}

/** LCMScheduler's `timestep_scaling`: timesteps are multiplied by it in `jump`. */
const TIMESTEP_SCALING = 10;
const SIGMA_DATA = 0.5;
/** The loss is quadratic for errors below this, and linear above. */
const HUBER = 1e-3;

/**
 * The distance of the student's jumps from the ends of the trajectories. A consistency function maps every point of a
 * trajectory to its end (Song et al. 2023, section 3). Song et al. compare two neighbouring points, because following a
 * trajectory to its end is expensive for large networks: see `consistencyLoss`. For a small teacher it is affordable
 * (Luhman and Luhman 2021), so here the student learns the end directly. The caller owns the result.
 *
 * @throws SchedulerConfigError for a scheduler whose networks are not trained by regression
 */
export function latentConsistencyLoss<X extends tf.Tensor = tf.Tensor4D>(
  options: LatentConsistencyOptions<X>,
): tf.Scalar {
  const { scheduler, student, x, timesteps, ends } = options;
  return tf.tidy(() => {
    const error = jump(scheduler, x, student(x, timesteps), timesteps).sub(ends);
    return error
      .square()
      .add(HUBER ** 2)
      .sqrt()
      .sub(HUBER)
      .mean<tf.Scalar>();
  });
}

/**
 * The end of the trajectory that the network predicts, weighted as LCMScheduler does, so that it is x itself at t = 0
 * (Luo et al. 2023, eq. 9).
 */
function jump(scheduler: ForwardProcess, x: tf.Tensor, output: tf.Tensor, timesteps: number[]): tf.Tensor {
  const rule = trainingOf(scheduler);
  const column = (of: (t: number) => number) => perSample(timesteps.map(of), x.rank);
  const scaled = (t: number) => t * TIMESTEP_SCALING;
  const skip = column((t) => SIGMA_DATA ** 2 / (scaled(t) ** 2 + SIGMA_DATA ** 2));
  const out = column((t) => scaled(t) / Math.sqrt(scaled(t) ** 2 + SIGMA_DATA ** 2));
  const x0 = impliedX0(
    timesteps.map((t) => rule.at(t)),
    x,
    output,
  );
  return skip.mul(x).add(out.mul(x0));
}
