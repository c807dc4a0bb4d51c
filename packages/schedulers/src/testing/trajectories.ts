import { readdirSync, readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig } from "../from-config.js";
import { replayNoise } from "../noise/replay-noise.js";
import { torchNoise } from "../noise/torch-noise.js";
import type { Plan, PlanOptions, StepOptions } from "../scheduler.js";

/**
 * One run of a diffusers scheduler with a formula in place of a network; arrays are flat, in PyTorch's order (NCHW).
 */
export interface Trajectory {
  config: Record<string, unknown>;
  num_inference_steps: number;
  step_kwargs: StepOptions;
  set_timesteps_kwargs: PlanOptions & { timesteps?: number[] };
  noise_floor_relrms: number;
  init_noise_sigma: number;
  timesteps: number[];
  sigmas?: number[] | null;
  x_init: number[];
  x_steps: number[][];
  noise?: number[][];
  original_image?: number[];
  mask?: number[];
  add_noise?: { x0: number[]; noise: number[]; timesteps: number[]; out: number[] };
  get_velocity?: { timesteps: number[]; out: number[] };
}

export interface TrajectoryFile {
  scheduler: string;
  shape: number[];
  default_config: Record<string, unknown>;
  cases: Trajectory[];
}

const FIXTURES = new URL("../../fixtures/", import.meta.url);

/** The schedulers that have fixtures. */
export function fixtureNames(): string[] {
  return readdirSync(FIXTURES)
    .filter((file) => file.endsWith("Scheduler.json"))
    .map((file) => file.replace(".json", ""));
}

/** Long noise is not stored but drawn as PyTorch draws it: `count` times from this seed. */
interface SeededNoise {
  torch_seed: number;
  draws: number;
}

/** Reads a fixture made by diffusers (its origin: fixtures/meta.json and the file's own head). */
export function readTrajectories(name: string): TrajectoryFile {
  const text = readFileSync(new URL(`${name}.json`, FIXTURES), "utf8").replaceAll("-Infinity", "null");
  const file = JSON.parse(text) as TrajectoryFile;
  for (const run of file.cases as { noise?: number[][] | SeededNoise }[]) {
    if (run.noise && !Array.isArray(run.noise)) run.noise = drawnByTorch(run.noise, file.shape);
  }
  return file;
}

function drawnByTorch({ torch_seed, draws }: SeededNoise, shape: number[]): number[][] {
  const noise = torchNoise(torch_seed);
  return Array.from({ length: draws }, () => tf.tidy(() => [...noise.normal(shape).dataSync()]));
}

/** NCHW numbers as an NHWC tensor. */
export function fromTorch(values: readonly number[], [batch, channels, height, width]: readonly number[]): tf.Tensor4D {
  return tf.tidy(() => tf.tensor4d([...values], [batch!, channels!, height!, width!]).transpose([0, 2, 3, 1]));
}

/** The formula in place of the network: 0.9 sin(1.3 x + 2.1 t / 1000). */
export function formula(x: tf.Tensor, t: number): tf.Tensor {
  return tf.tidy(() =>
    x
      .mul(1.3)
      .add((2.1 * t) / 1000)
      .sin()
      .mul(0.9),
  );
}

/**
 * {@link formula}, followed by the same number of channels in place of the learned variance: 0.5 cos(0.7 x + t / 1000).
 */
export function formulaWithVariance(x: tf.Tensor, t: number): tf.Tensor {
  return tf.tidy(() =>
    tf.concat(
      [
        formula(x, t),
        x
          .mul(0.7)
          .add(t / 1000)
          .cos()
          .mul(0.5),
      ],
      -1,
    ),
  );
}

/** Root mean square of the difference, divided by that of the expected numbers. */
export function relativeRms(got: tf.Tensor, want: tf.Tensor): number {
  return tf.tidy(
    () =>
      tf
        .sqrt(tf.sum(got.sub(want).square()))
        .div(tf.sqrt(tf.sum(want.square())))
        .dataSync()[0]!,
  );
}

/** The plan that a run was made with. */
export function planOf(name: string, run: Trajectory): Plan {
  const { timesteps, ...options } = run.set_timesteps_kwargs;
  return schedulerFromConfig({ ...run.config, _class_name: name }).plan(
    timesteps ? { timesteps } : run.num_inference_steps,
    options,
  );
}

/** The number of network calls for each entry of a run's lists; the corrector of the score SDE makes calls, too. */
function callsPerEntry(run: Trajectory): number {
  return "snr" in run.config || ("sigma_max" in run.config && run.x_steps.length * 2 <= (run.noise?.length ?? 0))
    ? run.noise!.length / run.x_steps.length
    : 1;
}

/** The timestep of each call of the network. */
export function callTimesteps(run: Trajectory): number[] {
  return run.timesteps.flatMap((t) => Array<number>(callsPerEntry(run)).fill(t));
}

/** Runs a plan with the formula and the stored noise; returns the relative RMS error after every step. */
export function trajectoryErrors(plan: Plan, run: Trajectory, shape: readonly number[]): number[] {
  return tf.tidy(() => {
    const network = run.config.variance_type === "learned_range" ? formulaWithVariance : formula;
    const noise = replayNoise((run.noise ?? []).map((values) => fromTorch(values, shape)));
    const [original_image, mask] = [run.original_image, run.mask].map((values) => values && fromTorch(values, shape));
    const options = { ...run.step_kwargs, ...(mask && { original_image, mask }) };
    const calls = callsPerEntry(run);
    let state = plan.resume(fromTorch(run.x_init, shape), 0);
    return plan.timesteps.flatMap((t, i) => {
      state = plan.step(state, network(plan.scaleInput(state.x, i), t), i, noise, options);
      return (i + 1) % calls === 0 ? [relativeRms(state.x, fromTorch(run.x_steps[(i + 1) / calls - 1]!, shape))] : [];
    });
  });
}
