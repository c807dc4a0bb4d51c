import * as tf from "@tensorflow/tfjs";
import { combine } from "../combine.js";
import { schedulerFromConfig } from "../from-config.js";
import type { NoiseSource } from "../noise/noise.js";
import type { PlanRequest, StepOptions } from "../scheduler.js";
import { torchNoise } from "../noise/torch-noise.js";

/** How one loop of diffusers' tests (tests/schedulers/test_scheduler_*.py) runs. */
export interface Loop {
  config?: Record<string, unknown>;
  request?: PlanRequest;
  /** The first call, from noisy samples: diffusers' `t_start` times the number of calls in a step. */
  first?: number;
  /** With `first`: start from the samples without noise. */
  clean?: boolean;
  options?: StepOptions;
  /** `torch.manual_seed(0)` unless given. */
  noise?: NoiseSource;
  /** How their test runs the loop. */
  style?: "plain" | "scaled in place" | "raw";
  /** [4, 3, 8, 8] unless given. */
  shape?: readonly number[];
  /** Run the plan this many times, each from the last state of the one before. */
  times?: number;
}

/** diffusers' dummy_sample_deter: a ramp from 0 to 1 over (C, ..., B), transposed to (B, C, ...). */
export function ramp(shape: readonly number[]): number[] {
  const size = tf.util.sizeFromShape([...shape]);
  const each = size / shape[0]!;
  return Array.from({ length: size }, (_, i) => ((i % each) * shape[0]! + Math.floor(i / each)) / size);
}

/** diffusers' dummy_model. */
export const dummyModel = (x: tf.Tensor, t: number) => x.mul(t / (t + 1));

/** Runs a loop of diffusers' tests with noise from `torch.manual_seed(0)`: the last x, and the sum and mean of |x|. */
export function runLoop(name: string, loop: Loop): { sum: number; mean: number; values: number[] } {
  const { config, request = 10, first = 0, clean, options, style = "plain", shape = [4, 3, 8, 8], times = 1 } = loop;
  const values = ramp(shape);
  return tf.tidy(() => {
    const plan = schedulerFromConfig({ ...config, _class_name: `${name}Scheduler` }).plan(request);
    const source = loop.noise ?? torchNoise(0);
    const sample = combine([style === "raw" ? 1 : plan.initNoiseSigma, tf.tensor(values, [...shape])]);
    const noise = tf.tensor(
      values.map((x) => (values.length - 1) / values.length - x),
      [...shape],
    );
    let state = plan.resume(first && !clean ? plan.addNoise(sample, noise, first) : sample, first);
    for (let call = first; call < times * plan.timesteps.length; call++) {
      const i = call % plan.timesteps.length;
      const next = tf.tidy(() => {
        const input = style === "raw" ? state.x : plan.scaleInput(state.x, i);
        // The loops in the tests of the Euler family overwrite the sample with the scaled one.
        const from = style === "scaled in place" ? { ...state, x: input } : state;
        return plan.step(from, dummyModel(input, plan.timesteps[i]!), i, source, options);
      });
      tf.dispose(state);
      state = next;
    }
    const last = Array.from(state.x.dataSync());
    const sum = last.reduce((total, x) => total + Math.abs(x), 0);
    return { sum, mean: sum / values.length, values: last };
  });
}
