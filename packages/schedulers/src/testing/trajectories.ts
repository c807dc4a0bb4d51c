import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { replayNoise } from "../replay-noise.js";
import type { Plan } from "../scheduler.js";

/** One run of a diffusers scheduler over a known formula in place of a network; arrays are flat, in PyTorch's order. */
export interface Trajectory {
  config: Record<string, unknown>;
  num_inference_steps: number;
  step_kwargs: Record<string, unknown>;
  set_timesteps_kwargs: Record<string, unknown>;
  noise_floor_relrms: number;
  timesteps: number[];
  x_init: number[];
  x_steps: number[][];
  noise?: number[][];
  add_noise?: { x0: number[]; noise: number[]; timesteps: number[]; out: number[] };
  get_velocity?: { timesteps: number[]; out: number[] };
}

export interface TrajectoryFile {
  scheduler: string;
  shape: number[];
  default_config: Record<string, unknown>;
  cases: Trajectory[];
}

/** Reads a fixture made by diffusers (its origin: fixtures/meta.json and the file's own head). */
export function readTrajectories(name: string): TrajectoryFile {
  return JSON.parse(readFileSync(new URL(`../../fixtures/${name}.json`, import.meta.url), "utf8")) as TrajectoryFile;
}

/** NCHW numbers as an NHWC tensor. */
export function fromTorch(values: readonly number[], [batch, channels, height, width]: readonly number[]): tf.Tensor4D {
  return tf.tidy(() => tf.tensor4d([...values], [batch!, channels!, height!, width!]).transpose([0, 2, 3, 1]));
}

/** The formula that stands for the network: 0.9 sin(1.3 x + 2.1 t / 1000). */
export function formula(x: tf.Tensor, t: number): tf.Tensor {
  return tf.tidy(() => x.mul(1.3).add((2.1 * t) / 1000).sin().mul(0.9));
}

/** As {@link formula}, followed by as many channels that stand for the learned variance: 0.5 cos(0.7 x + t / 1000). */
export function formulaWithVariance(x: tf.Tensor, t: number): tf.Tensor {
  return tf.tidy(() => tf.concat([formula(x, t), x.mul(0.7).add(t / 1000).cos().mul(0.5)], -1));
}

/** Root mean square of the difference over that of the expected numbers. */
export function relativeRms(got: tf.Tensor, want: tf.Tensor): number {
  return tf.tidy(() => tf.sqrt(tf.sum(got.sub(want).square())).div(tf.sqrt(tf.sum(want.square()))).dataSync()[0]!);
}

/** Runs a plan over the formula with the stored noise; the relative RMS error after every step. */
export function trajectoryErrors(plan: Plan, run: Trajectory, shape: readonly number[], network = formula): number[] {
  return tf.tidy(() => {
    const noise = replayNoise((run.noise ?? []).map((values) => fromTorch(values, shape)));
    let state = plan.resume(fromTorch(run.x_init, shape), 0);
    return plan.timesteps.map((t, i) => {
      state = plan.step(state, network(plan.scaleInput(state.x, i), t), i, noise, run.step_kwargs);
      return relativeRms(state.x, fromTorch(run.x_steps[i]!, shape));
    });
  });
}
