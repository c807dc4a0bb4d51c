import * as tf from "@tensorflow/tfjs";
import type { ForwardProcess } from "@tfjs-diffusion/core/training";

/** A network's prediction at these timesteps, one per picture: the velocity v, [B, h, w, C]. */
export type Velocity = (x: tf.Tensor4D, timesteps: number[]) => tf.Tensor4D;

export interface ConsistencyOptions {
  scheduler: ForwardProcess;
  /** The network that learns to jump to the end. */
  student: Velocity;
  /** Points on trajectories, [B, h, w, C]. Borrowed. */
  x: tf.Tensor4D;
  /** The timestep of each, in [0, T). */
  timesteps: number[];
  /** Where these trajectories end, [B, h, w, C]. Borrowed. */
  ends: tf.Tensor4D;
}

/** LCMScheduler's `timestep_scaling`: timesteps are multiplied by it in `jump`. */
const TIMESTEP_SCALING = 10;
const SIGMA_DATA = 0.5;
/** The loss is quadratic for errors below this, and linear above. */
const HUBER = 1e-3;

/**
 * How far the student's jumps land from the ends of the trajectories. A consistency function maps every point of a
 * trajectory to its end (Song et al. 2023, section 3). Song et al. compare two neighbouring points, because following a
 * trajectory to its end is expensive for large networks. A small teacher can afford it (Luhman and Luhman 2021), so
 * here the student learns the end directly. The caller owns the result.
 */
export function consistencyLoss({ scheduler, student, x, timesteps, ends }: ConsistencyOptions): tf.Scalar {
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
function jump({ alphaBar }: ForwardProcess, x: tf.Tensor4D, v: tf.Tensor4D, timesteps: number[]): tf.Tensor4D {
  const column = (of: (t: number) => number) => tf.tensor4d(timesteps.map(of), [timesteps.length, 1, 1, 1]);
  const scaled = (t: number) => t * TIMESTEP_SCALING;
  const skip = column((t) => SIGMA_DATA ** 2 / (scaled(t) ** 2 + SIGMA_DATA ** 2));
  const out = column((t) => scaled(t) / Math.sqrt(scaled(t) ** 2 + SIGMA_DATA ** 2));
  const alpha = column((t) => Math.sqrt(alphaBar[t]!));
  const sigma = column((t) => Math.sqrt(1 - alphaBar[t]!));
  return skip.mul(x).add(out.mul(alpha.mul(x).sub(sigma.mul(v))));
}
