import * as tf from "@tensorflow/tfjs";
import type { ForwardProcess } from "@tfjs-diffusion/core/training";
import type { Velocity } from "./consistency-loss.js";

/** A point of a trajectory from noise to pictures. */
export interface TrajectoryPoint {
  timestep: number;
  /** Latents of all pictures of the batch, one after the other. */
  x: Float32Array;
}

/** The trajectories of a batch of latents: their points, the noisiest first, and their clean ends. */
export interface Trajectory {
  points: TrajectoryPoint[];
  end: Float32Array;
}

/**
 * Follows DDIM (Song et al. 2021a, eq. 12, eta 0) from timestep `from` to the clean end, `stride` timesteps at a time.
 * `x` is borrowed.
 *
 * @param x [B, h, w, C] at timestep `from`
 */
export function followDdim(
  { alphaBar }: ForwardProcess,
  teacher: Velocity,
  x: tf.Tensor4D,
  from: number,
  stride: number,
): Trajectory {
  const points: TrajectoryPoint[] = [];
  let here = x.clone();
  for (let timestep = from; timestep >= 0; timestep -= stride) {
    points.push({ timestep, x: here.dataSync().slice() as Float32Array });
    const next = timestep - stride;
    const moved = tf.tidy(() => ddimStep(here, teacher, timestep, alphaBar[timestep]!, next < 0 ? 1 : alphaBar[next]!));
    here.dispose();
    here = moved;
  }
  const end = here.dataSync().slice() as Float32Array;
  here.dispose();
  return { points, end };
}

function ddimStep(x: tf.Tensor4D, teacher: Velocity, timestep: number, bar: number, nextBar: number): tf.Tensor4D {
  const v = teacher(x, Array<number>(x.shape[0]).fill(timestep));
  const [alpha, sigma] = [Math.sqrt(bar), Math.sqrt(1 - bar)];
  const x0 = x.mul(alpha).sub(v.mul(sigma));
  const epsilon = x.mul(sigma).add(v.mul(alpha));
  return x0.mul(Math.sqrt(nextBar)).add(epsilon.mul(Math.sqrt(1 - nextBar)));
}
