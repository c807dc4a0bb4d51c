/**
 * Training and sampling agree. Two tests show it: each scheduler's training input and target equal those of diffusers'
 * functions; and the minimiser of the loss, which has a closed form for Gaussian data, reproduces the data when the
 * same scheduler samples with it.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig, schedulerNames } from "./from-config.js";
import { keyedRandom } from "./noise/keyed-noise.js";
import type { NoiseSource } from "./noise/noise.js";
import type { BaseScheduler } from "./scheduler.js";
import {
  logitNormalTimes,
  logNormalSigmas,
  shiftedTimes,
  type TimeDistribution,
  type TrainingLevel,
  type TrainingRule,
  uniformTimes,
  uniformTimesteps,
} from "./training.js";

interface Row {
  scheduler: string;
  config: Record<string, unknown>;
  at: [timestep: number, sigma: number, input: number[], target: number[]][];
  /** Number of steps with which diffusers reproduced the data; absent for samplers of distilled networks. */
  steps?: number;
}

const stored = JSON.parse(readFileSync(new URL("../fixtures/training-targets.json", import.meta.url), "utf8")) as {
  x0: number[];
  noise: number[];
  rows: Row[];
};

const make = ({ scheduler, config }: Pick<Row, "scheduler" | "config">) =>
  schedulerFromConfig({ ...config, _class_name: scheduler }) as BaseScheduler<object>;
const nameOf = ({ scheduler, config }: Row) =>
  `${scheduler} ${["prediction_type", "beta_schedule", "rescale_betas_zero_snr", "shift"]
    .flatMap((key) => (key in config ? [`${key} ${String(config[key])}`] : []))
    .join(", ")}`;

/** Whether times are noise levels (EDM, flow matching) and not timesteps. */
const isLevel = (rule: TrainingRule) => rule.predicts === "preconditioned" || rule.predicts === "flow_prediction";

beforeAll(() => tf.setBackend("cpu"));

describe("A network's training input, time input and target", () => {
  it.each(stored.rows.map((row) => [nameOf(row), row] as const))("equal those of diffusers: %s", (_, row) => {
    const scheduler = make(row);
    const [x0, noise] = [tf.tensor2d([stored.x0]), tf.tensor2d([stored.noise])];
    for (const [timestep, sigma, input, target] of row.at) {
      const time = isLevel(scheduler.training) ? sigma : timestep;
      const example = scheduler.trainingExample(x0, noise, [time]);
      expect(example.timesteps[0]).toBeCloseTo(timestep, 5);
      example.input.dataSync().forEach((value, i) => expect(Math.abs(value - input[i]!)).toBeLessThan(1e-5));
      example.target.dataSync().forEach((value, i) => expect(Math.abs(value - target[i]!)).toBeLessThan(1e-5));
      tf.dispose([example.input, example.target]);
    }
    tf.dispose([x0, noise]);
  });

  it("are defined for every scheduler, or an error says why not", () => {
    const without = schedulerNames.filter((name) => {
      try {
        return !make({ scheduler: name, config: {} }).training;
      } catch (error) {
        expect((error as Error).message).toMatch(/Train one with EDMEulerScheduler/);
        return true;
      }
    });
    expect(without).toEqual(["CMStochasticIterativeScheduler"]);
  });
});

const DATA = { mean: 0.5, deviation: 0.3 };

/**
 * The output that minimises the loss for data N(mean, deviation^2): the mean of the target, given the input. Both are
 * mixtures of x0 and noise, so it is linear in the input.
 */
function minimiser({ input: i, target: t }: TrainingLevel, shown: tf.Tensor): tf.Tensor {
  const variance = DATA.deviation ** 2;
  const slope = (i.ofX0 * t.ofX0 * variance + i.ofNoise * t.ofNoise) / (i.ofX0 ** 2 * variance + i.ofNoise ** 2);
  return shown
    .sub(i.ofX0 * DATA.mean)
    .mul(slope)
    .add(t.ofX0 * DATA.mean);
}

/** x after all steps of a plan, with the exact minimiser of the scheduler's loss as the network. */
function walk(
  { scheduler, steps, rule }: { scheduler: BaseScheduler<object>; steps: number; rule: TrainingRule },
  initial: tf.Tensor1D,
  noise: NoiseSource,
): number[] {
  // Finds the training time for a plan's timestep; times can be noise levels.
  const T = scheduler.alphaBar.length;
  const timeOf = (told: number) =>
    rule.predicts === "preconditioned" ? Math.exp(4 * told) : rule.predicts === "flow_prediction" ? told / T : told;
  const plan = scheduler.plan(steps);
  let state = plan.start(initial);
  for (const [i, told] of plan.timesteps.entries()) {
    const next = tf.tidy(() => {
      const output = minimiser(rule.at(timeOf(told)), plan.scaleInput(state.x, i));
      return plan.step(state, output, i, noise);
    });
    tf.dispose(state);
    state = next;
  }
  const values = [...state.x.dataSync()];
  tf.dispose([state, initial]);
  return values;
}

/**
 * The exact mean and deviation of a scheduler's samples. Its steps are linear in all noise (initial and fresh), so it
 * is enough to run one sample for each noise number, with that number set to 1.
 */
function sampled(
  scheduler: BaseScheduler<object>,
  steps: number,
  rule = scheduler.training,
): { mean: number; deviation: number } {
  let draws = 0;
  const counting: NoiseSource = { normal: (shape) => (draws++, tf.zeros(shape)), uniform: (shape) => tf.zeros(shape) };
  walk({ scheduler, steps, rule }, tf.zeros([1]), counting);
  const rows = draws + 2;
  const oneAt = (row: number) => tf.tensor1d(Float32Array.from({ length: rows }, (_, i) => (i === row ? 1 : 0)));
  let draw = 0;
  const pulses: NoiseSource = { normal: () => oneAt(2 + draw++), uniform: (shape) => tf.zeros(shape) };
  const [mean, ...moved] = walk({ scheduler, steps, rule }, oneAt(1), pulses);
  return { mean: mean!, deviation: Math.hypot(...moved.map((x) => x - mean!)) };
}

describe("The exact minimiser of a scheduler's loss, sampled by that scheduler,", () => {
  // The remaining error comes from the step size and, if the schedule keeps some signal at its noisy end, from the
  // start.
  const TOLERANCE = { mean: 0.015, deviation: 0.02 };
  const rows = stored.rows.filter(({ steps }) => steps !== undefined);

  it.each(rows.map((row) => [nameOf(row), row] as const))("reproduces the data: %s", (_, row) => {
    const { mean, deviation } = sampled(make(row), row.steps!);
    expect(Math.abs(mean - DATA.mean)).toBeLessThan(TOLERANCE.mean);
    expect(Math.abs(deviation - DATA.deviation)).toBeLessThan(TOLERANCE.deviation);
  });

  it.each([
    { scheduler: "IPNDMScheduler", config: {}, steps: 200 },
    { scheduler: "ScoreSdeVpScheduler", config: {}, steps: 1000 },
    {
      scheduler: "DPMSolverMultistepScheduler",
      config: { use_flow_sigmas: true, prediction_type: "flow_prediction" },
      steps: 100,
    },
  ])("reproduces the data where diffusers has no function for the target: $scheduler", ({ steps, ...row }) => {
    const { mean, deviation } = sampled(make(row), steps);
    expect(Math.abs(mean - DATA.mean)).toBeLessThan(TOLERANCE.mean);
    expect(Math.abs(deviation - DATA.deviation)).toBeLessThan(TOLERANCE.deviation);
  });

  it("does not reproduce the data if training used another input or another target", () => {
    const euler = make({ scheduler: "EulerDiscreteScheduler", config: {} });
    const unscaled: TrainingRule = {
      ...euler.training,
      at: (t) => {
        const level = euler.training.at(t);
        const scale = Math.hypot(level.input.ofX0, level.input.ofNoise) / level.input.ofX0;
        const input = { ofX0: scale * level.input.ofX0, ofNoise: scale * level.input.ofNoise };
        return { ...level, input };
      },
    };
    expect(Math.abs(sampled(euler, 50, unscaled).mean - DATA.mean)).toBeGreaterThan(0.1);
    const flow = make({ scheduler: "FlowMatchEulerDiscreteScheduler", config: {} });
    const noise: TrainingRule = {
      ...flow.training,
      at: (sigma) => ({ ...flow.training.at(sigma), target: { ofX0: 0, ofNoise: 1 } }),
    };
    expect(Math.abs(sampled(flow, 50, noise).mean - DATA.mean)).toBeGreaterThan(0.1);
  });
});

it("A network for continuous noise levels gets the same time input in training and in sampling", () => {
  const config = { prediction_type: "v_prediction", timestep_type: "continuous" };
  const scheduler = make({ scheduler: "EulerDiscreteScheduler", config });
  const told = scheduler.training.at(999);
  expect(told.timestep).toBe(scheduler.plan({ timesteps: [999, 500] }).timesteps[0]);
  expect(told.timestep).toBeCloseTo(Math.log(told.input.ofNoise / told.input.ofX0) / 4, 6);
});

describe("Times", () => {
  const draws = (times: TimeDistribution) => {
    const random = keyedRandom(3, "times");
    return Array.from({ length: 20_000 }, () => times(random));
  };
  const meanOf = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

  it("are whole timesteps, uniformly distributed", () => {
    const counts = new Map<number, number>();
    for (const t of draws(uniformTimesteps(10))) counts.set(t, (counts.get(t) ?? 0) + 1);
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([...Array(10).keys()]);
    // Standard deviation sqrt(20,000 x 0.1 x 0.9) = 42; four of it.
    for (const count of counts.values()) expect(Math.abs(count - 2000)).toBeLessThan(170);
  });

  it("are uniform and never 0, because there is nothing to learn at noise level 0", () => {
    const values = draws(uniformTimes(0.2));
    expect(Math.min(...values)).toBeGreaterThan(0.2);
    expect(Math.max(...values)).toBeLessThanOrEqual(1);
    expect(Math.abs(meanOf(values) - 0.6)).toBeLessThan((4 * 0.8) / Math.sqrt(12 * 20_000));
  });

  it("have normal logarithms and logits of the given mean and deviation", () => {
    const moments = (values: number[]) => {
      const mean = meanOf(values);
      return [mean, Math.sqrt(meanOf(values.map((x) => (x - mean) ** 2)))];
    };
    const [mean, deviation] = moments(draws(logNormalSigmas(-1.2, 1.2)).map(Math.log));
    expect(Math.abs(mean! + 1.2)).toBeLessThan((4 * 1.2) / Math.sqrt(20_000));
    expect(Math.abs(deviation! - 1.2)).toBeLessThan((4 * 1.2) / Math.sqrt(2 * 20_000));
    const [logit, spread] = moments(draws(logitNormalTimes(0.5, 0.8)).map((t) => Math.log(t / (1 - t))));
    expect(Math.abs(logit! - 0.5)).toBeLessThan((4 * 0.8) / Math.sqrt(20_000));
    expect(Math.abs(spread! - 0.8)).toBeLessThan((4 * 0.8) / Math.sqrt(2 * 20_000));
  });

  it("are shifted as the sampler shifts its levels", () => {
    const random = keyedRandom(3, "shifted");
    const again = keyedRandom(3, "shifted");
    const plain = uniformTimes()(random);
    expect(shiftedTimes(3)(again)).toBeCloseTo((3 * plain) / (1 + 2 * plain), 12);
  });
});
