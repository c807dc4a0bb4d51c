import * as tf from "@tensorflow/tfjs";
import type { ForwardProcess } from "@tfjs-diffusion/core/training";

/** What a network says at these timesteps, one a picture: the velocity v, [B, h, w, C]. */
export type Velocity = (x: tf.Tensor4D, timesteps: number[]) => tf.Tensor4D;

export interface ConsistencyOptions {
  scheduler: ForwardProcess;
  /** Learns to jump. */
  student: Velocity;
  /** Places on trajectories, [B, h, w, C]. Borrowed. */
  x: tf.Tensor4D;
  /** The noise level of each, in [0, T). */
  timesteps: number[];
  /** Where these trajectories end, [B, h, w, C]. Borrowed. */
  ends: tf.Tensor4D;
}

/** LCMScheduler's own: times a timestep before its distance to 0 is judged. */
const TIMESTEP_SCALING = 10;
const SIGMA_DATA = 0.5;
/** Below it the loss is of the second power of the error, above it of the first. */
const HUBER = 1e-3;

/**
 * How far the student's jumps are from where the trajectories end: a consistency function lands at the end from
 * wherever it jumps off (Song et al. 2023, section 3). They teach it by two neighbouring places at a time, as walking
 * to the end is dear for them; a small teacher can walk (Luhman and Luhman 2021), and the student is told at once. The
 * caller owns the result.
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
 * Where the network sees the trajectory end, weighted so that at t = 0 it is x itself (Luo et al. 2023, eq. 9), as
 * LCMScheduler does.
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
