import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import type { BrownianNoise } from "./noise/brownian.js";
import { schedulerFromConfig } from "./from-config.js";
import type { Plan, Scheduler } from "./scheduler.js";
import { replayNoise } from "./noise/replay-noise.js";
import { torchNoise } from "./noise/torch-noise.js";
import { dummyModel, ramp, runLoop } from "./testing/diffusers-loops.js";

// Numbers from the tests of huggingface/diffusers 58eb52c080 (2026-08-23), tests/schedulers/test_scheduler_*.py, other
// than the sums of loops. Each title names their test; each test has their tolerance.

beforeAll(() => tf.setBackend("cpu"));

const make = (name: string, config: object = {}): Scheduler =>
  schedulerFromConfig({ ...config, _class_name: `${name}Scheduler` });

describe("timesteps", () => {
  it.each([
    ["DDIM: test_steps_offset", "DDIM", { steps_offset: 1 }, 5, [801, 601, 401, 201, 1]],
    ["DDIMInverse: test_steps_offset", "DDIMInverse", { steps_offset: 1 }, 5, [1, 201, 401, 601, 801]],
    [
      "PNDM: test_steps_offset",
      "PNDM",
      { steps_offset: 1 },
      10,
      [901, 851, 851, 801, 801, 751, 751, 701, 701, 651, 651, 601, 601, 501, 401, 301, 201, 101, 1],
    ],
    ["DPM-Solver, linspace", "DPMSolverMultistep", {}, 10, [999, 899, 799, 699, 599, 500, 400, 300, 200, 100]],
    ["LCM, one step", "LCM", {}, 1, [999]],
    ["LCM, four steps", "LCM", {}, 4, [999, 759, 499, 259]],
    ["LCM, ten steps", "LCM", {}, 10, [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]],
    [
      "UnCLIP, 25 steps: round(arange(25) (999 / 24)), reversed",
      "UnCLIP",
      {},
      25,
      [
        999, 957, 916, 874, 832, 791, 749, 708, 666, 624, 583, 541, 500, 458, 416, 375, 333, 291, 250, 208, 166, 125,
        83, 42, 0,
      ],
    ],
  ] as const)("%s", (_, name, config, steps, want) => {
    expect(make(name, config).plan(steps).timesteps).toEqual(want);
  });

  it("DDPM: test_custom_timesteps: each step goes to the next timestep, the last to a clean sample", () => {
    const plan = make("DDPM").plan({ timesteps: [100, 87, 50, 1, 0] });
    expect(plan.timesteps).toEqual([100, 87, 50, 1, 0]);
    expect(plan.sigmas.at(-1)).toBe(0);
  });

  it.each(["DPMSolverMultistep", "UniPCMultistep", "EDMDPMSolverMultistep"])(
    "%s: test_duplicated_timesteps: as many steps as there are trained ones",
    (name) => expect(make(name).plan(1000).timesteps.length).toBe(1000),
  );

  it("PNDM: test_inference_plms_no_past_residuals' other half: 27 steps, a power of 3, do not run out", () => {
    expect(Number.isFinite(runLoop("PNDM", { request: 27 }).sum)).toBe(true);
  });
});

describe("sigmas", () => {
  it("UniPC: flow sigmas by Karras (T 1000, 0.01 to 200, 5 steps)", () => {
    const flow = { use_flow_sigmas: true, use_karras_sigmas: true, sigma_min: 0.01, sigma_max: 200 };
    const plan = make("UniPCMultistep", { ...flow, prediction_type: "flow_prediction" }).plan(5);
    const want = [
      0.9950248599052429, 0.9787454605102539, 0.8774884343147278, 0.3604971766471863, 0.009900986216962337, 0,
    ];
    want.forEach((sigma, i) => expect(Math.abs(plan.sigmas[i]! - sigma)).toBeLessThanOrEqual(1e-6 * sigma));
    expect(plan.timesteps).toEqual(want.slice(0, -1).map((sigma) => Math.trunc(sigma * 1000)));
  });

  it("SD-Turbo's: EulerDiscrete, trailing, 1 and 4 steps", () => {
    const turbo = make("EulerDiscrete", {
      beta_schedule: "scaled_linear",
      beta_start: 0.00085,
      beta_end: 0.012,
      timestep_spacing: "trailing",
    });
    const close = (plan: Plan, want: number[]) =>
      want.forEach((sigma, i) => expect(Math.abs(plan.sigmas[i]! - sigma)).toBeLessThanOrEqual(1e-6 * sigma));
    close(turbo.plan(1), [14.6146469, 0]);
    close(turbo.plan(4), [14.6146469, 4.08173084, 1.61288702, 0.693205416, 0]);
    expect(turbo.plan(4).timesteps).toEqual([999, 749, 499, 249]);
  });
});

/** The step's standard deviation at timestep t: the result of a step from 0 with output 0 and noise 1. */
function deviationAt(scheduler: Scheduler, t: number, variance?: number): number {
  const plan = scheduler.plan({ timesteps: t > 0 ? [t, t - 1] : [0] });
  return tf.tidy(() => {
    const x = tf.zeros([1, 1, 1, 1]);
    const output = variance === undefined ? x : tf.tensor4d([0, variance], [1, 1, 1, 2]);
    return plan.step(plan.resume(x, 0), output, 0, replayNoise([tf.ones([1, 1, 1, 1])])).x.dataSync()[0]!;
  });
}

describe("variances", () => {
  it.each([
    [0, 0],
    [487, 0.00979],
    [999, 0.02],
  ])("DDPM: test_variance at %i", (t, want) => {
    expect(Math.abs(deviationAt(make("DDPM"), t) ** 2 - want)).toBeLessThan(1e-5);
  });

  it.each([
    [420, 400, 0.14771],
    [980, 960, 0.3246],
    [487, 486, 0.00979],
    [999, 998, 0.02],
  ])("DDIM: test_variance from %i to %i", (t, to, want) => {
    const plan = make("DDIM").plan({ timesteps: [t, to] });
    const added = tf.tidy(() => {
      const x = tf.zeros([1]);
      return plan.step(plan.resume(x, 0), x, 0, replayNoise([tf.ones([1])]), { eta: 1 }).x.dataSync()[0]!;
    });
    expect(Math.abs(added ** 2 - want)).toBeLessThan(1e-5);
  });

  it.each([
    [0, 1e-10],
    [487, 0.0549625],
    [999, 0.9994987],
  ])("UnCLIP: test_variance_fixed_small_log at %i", (t, want) => {
    expect(Math.abs(deviationAt(make("UnCLIP"), t) - want)).toBeLessThan(1e-5);
  });

  // diffusers tests these in one direction, here in both. Logarithms of float32 numbers near 1 have few digits: 2e-5.
  it.each([
    [1, -10.171279],
    [487, -5.7998052],
    [999, -0.0010011],
  ])("UnCLIP: test_variance_learned_range at %i, halfway up from the middle", (t, want) => {
    const logVariance = 2 * Math.log(deviationAt(make("UnCLIP", { variance_type: "learned_range" }), t, 0.5));
    expect(Math.abs(logVariance - want)).toBeLessThan(2e-5);
  });
});

const sumOfAbs = (x: tf.Tensor) => x.abs().sum().dataSync()[0]!;

describe("steps without noise, of samples at timesteps 0, 1 and 2", () => {
  // diffusers' *ParallelScheduler classes do these steps in one batch.
  it.each([
    ["DDPMParallel: test_batch_step_no_noise", "DDPM", 1153.1833, 0.5005],
    ["DDIMParallel: test_batch_step_no_noise", "DDIM", 1147.7904, 0.4982],
  ])("%s", (_, name, sum, mean) => {
    const scheduler = make(name);
    const values = ramp([4, 3, 8, 8]);
    const total = [0, 0.1, -0.1].reduce((sofar, shift, t) => {
      const plan = scheduler.plan({ timesteps: t > 0 && name === "DDPM" ? [t, t - 1] : [t] });
      return tf.tidy(() => {
        const x = tf.tensor(values, [4, 3, 8, 8]).add(shift);
        const next = plan.step(plan.resume(x, 0), dummyModel(x, t), 0, replayNoise([tf.zerosLike(x)])).x;
        return sofar + sumOfAbs(next);
      });
    }, 0);
    expect(Math.abs(total - sum)).toBeLessThan(1e-2);
    expect(Math.abs(total / (3 * values.length) - mean)).toBeLessThan(1e-3);
  });
});

const distance = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0);

describe("a plan's own levels, given back to it, make the same plan", () => {
  const cases = ["epsilon", "sample", "v_prediction"].flatMap((prediction_type) =>
    ["linear", "log_linear"].flatMap((interpolation_type) =>
      ["sigma_min", "zero"].map((final_sigmas_type) => ({ prediction_type, interpolation_type, final_sigmas_type })),
    ),
  );
  it.each(cases)("EulerDiscrete: test_custom_timesteps, test_custom_sigmas: %j", (config) => {
    const loop = { config: { ...config, num_train_timesteps: 1100 }, style: "scaled in place" } as const;
    const plan = make("EulerDiscrete", loop.config).plan(10);
    const { values } = runLoop("EulerDiscrete", loop);
    // log_linear is left out: it has one level more than steps, so its sigmas would give a longer plan.
    const sigmas = config.interpolation_type === "linear" ? [{ sigmas: plan.sigmas }] : [];
    for (const request of [{ timesteps: plan.timesteps }, ...sigmas]) {
      const again = runLoop("EulerDiscrete", { ...loop, request }).values;
      expect(distance(values, again)).toBeLessThan(1e-5);
    }
  });

  it("HeunDiscrete: test_custom_timesteps, with every second of its calls' timesteps", () => {
    const { timesteps } = make("HeunDiscrete", { num_train_timesteps: 1100 }).plan(10);
    const loop = { config: { num_train_timesteps: 1100 }, style: "scaled in place" } as const;
    const request = { timesteps: [timesteps[0]!, ...timesteps.filter((_, i) => i % 2 === 1)] };
    const [again, values] = [{ ...loop, request }, loop].map((one) => runLoop("HeunDiscrete", one).values);
    expect(distance(values!, again!)).toBeLessThan(1e-5);
  });
});

describe("switching class by config", () => {
  it.each([
    ["DPMSolverMultistep", ["DPMSolverSinglestep", "UniPCMultistep", "DEISMultistep"], 0.3301],
    ["DPMSolverSinglestep", ["DEISMultistep", "DPMSolverMultistep", "UniPCMultistep"], 0.2791],
    ["UniPCMultistep", ["DPMSolverSinglestep", "DEISMultistep", "DPMSolverMultistep"], 0.2464],
  ])("test_switch: %s by way of %j and back draws the same", (name, others, mean) => {
    const config = {
      solver_order: 2,
      final_sigmas_type: "sigma_min",
      ...(name !== "UniPCMultistep" && { lower_order_final: false }),
    };
    let scheduler = make(name, config);
    expect(Math.abs(runLoop(name, { config }).mean - mean)).toBeLessThan(1e-3);
    for (const other of [...others, name]) scheduler = make(other, scheduler.config);
    expect(Math.abs(runLoop(name, { config: { ...scheduler.config } }).mean - mean)).toBeLessThan(1e-3);
  });
});

describe("ScoreSdeVe", () => {
  it("test_full_loop_no_noise: the corrector's and the predictor's noise from one seed", () => {
    // Their dummy network gets a noise level instead of the timestep. Because sigmas are set before timesteps, it is
    // one of the 2000 trained levels. np.isclose is 1e-5.
    const told = make("ScoreSdeVe").plan(2000).sigmas;
    const plan = make("ScoreSdeVe").plan(3);
    const values = ramp([4, 3, 8, 8]);
    const sum = tf.tidy(() => {
      const noise = torchNoise(0);
      let state = plan.resume(tf.tensor(values, [4, 3, 8, 8]), 0);
      plan.timesteps.forEach((_, i) => {
        state = plan.step(state, dummyModel(state.x, told[Math.floor(i / 2)]!), i, noise);
      });
      return sumOfAbs(state.x);
    });
    expect(Math.abs(sum / 14372758528 - 1)).toBeLessThan(1e-5);
    expect(Math.abs(sum / values.length / 18714530 - 1)).toBeLessThan(1e-5);
  });
});

describe("DPMSolverSDE", () => {
  // Its noise is torchsde's Brownian tree, whose increments are stored in fixtures/torchsde-increments.json, which says
  // how they were drawn.
  const stored = JSON.parse(
    readFileSync(new URL("../fixtures/torchsde-increments.json", import.meta.url), "utf8"),
  ) as Record<string, string>;
  const storedPath = (name: string): BrownianNoise => {
    const bytes = Buffer.from(stored[name]!, "base64");
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    let next = 0;
    return {
      ...torchNoise(0),
      increment: (shape) => tf.tensor(values.slice(next, (next += tf.util.sizeFromShape(shape))), shape),
    };
  };

  it.each<[name: string, config: object, levels: string, sum: number, mean: number, meanTolerance?: number]>([
    ["full_loop_no_noise", {}, "linspace", 162.5238342285156, 0.211619570851326],
    [
      "full_loop_with_v_prediction",
      { prediction_type: "v_prediction" },
      "linspace",
      119.8487548828125,
      0.1560530662536621,
    ],
    // Their mean, 0.2300387273098181, is older than their sum, 170.3135223388672, but agrees with it within their 1e-2.
    [
      "full_loop_device_karras_sigmas",
      { use_karras_sigmas: true },
      "karras",
      170.3135223388672,
      0.2300387273098181,
      1e-2,
    ],
  ])("%s", (_, config, levels, sum, mean, ...[meanTolerance = 1e-3]) => {
    const loop = {
      config: { ...config, num_train_timesteps: 1100, beta_start: 0.0001, beta_end: 0.02 },
      style: "scaled in place",
    } as const;
    const got = runLoop("DPMSolverSDE", { ...loop, noise: storedPath(levels) });
    expect(Math.abs(got.sum - sum)).toBeLessThan(1e-2);
    expect(Math.abs(got.mean - mean)).toBeLessThan(meanTolerance);
  });
});
