import * as tf from "@tensorflow/tfjs";
import type { Network } from "@tfjs-diffusion/schedulers";
import { ddimMove } from "./ddim-move.js";
import { type ForwardProcess, trainingOf } from "./denoising-loss.js";
import { valuesAtOnce } from "../platform/values-at-once.js";

/** A point of the trajectories of a batch. */
export interface TrajectoryPoint {
  timestep: number;
  /** All samples of the batch, one after the other. */
  x: Float32Array;
}

/** The trajectories of a batch: their points, the noisiest first, and their clean ends. */
export interface Trajectory {
  points: TrajectoryPoint[];
  end: Float32Array;
}

/**
 * Follows DDIM (Song et al. 2021a, eq. 12, eta 0) from timestep `from` to the clean end, `stride` timesteps at a time.
 *
 * @param scheduler a scheduler on whole timesteps
 * @param x [B, ...] at timestep `from`; borrowed
 * @throws SchedulerConfigError for a scheduler that no regression trains a network for
 */
export function ddimTrajectory<X extends tf.Tensor = tf.Tensor4D>(
  scheduler: ForwardProcess,
  teacher: Network<X>,
  x: X,
  from: number,
  stride: number,
): Trajectory {
  const rule = trainingOf(scheduler);
  const all = <T>(value: T) => Array<T>(x.shape[0]).fill(value);
  const points: TrajectoryPoint[] = [];
  let here = x.clone();
  for (let timestep = from; timestep >= 0; timestep -= stride) {
    points.push({ timestep, x: valuesAtOnce("ddimTrajectory", here).slice() as Float32Array });
    const next = timestep - stride;
    const level = rule.at(timestep);
    const moved = tf.tidy(() => {
      const output = teacher(here, all(level.timestep));
      return ddimMove(here, output, all(level), all(next < 0 ? { ofX0: 1, ofNoise: 0 } : rule.at(next).input));
    });
    here.dispose();
    here = moved;
  }
  const end = valuesAtOnce("ddimTrajectory", here).slice() as Float32Array;
  here.dispose();
  return { points, end };
}
