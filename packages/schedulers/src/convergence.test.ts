import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { measureConvergence, orderOfConvergence, sampleMixture } from "./convergence.js";
import { schedulerFromConfig } from "./from-config.js";
import { keyedNoise } from "./keyed-noise.js";
import { mixtureDenoiser } from "./mixture.js";

beforeAll(() => tf.setBackend("cpu"));

const SMOOTH = { means: [[0.6, -0.3], [-0.5, 0.4]], deviation: 0.5 }; // prettier-ignore

/** Sigmas evenly spaced in log from 10 to 0.05: a stretch where the trajectory is smooth and float32 does not yet show. */
const sigmas = (n: number) => Array.from({ length: n + 1 }, (_, i) => 10 * (0.05 / 10) ** (i / n));

describe("mixtureDenoiser", () => {
  it("is the mean of the posterior, by numeric integration", () => {
    const level = { alpha: 0.7, sigma: 0.6 };
    const mixture = { means: [[0.5], [-1]], deviation: 0.3, weights: [0.2, 0.8] };
    const x = 0.1;
    const grid = Array.from({ length: 40_001 }, (_, i) => -4 + i * 2e-4);
    const normal = (z: number, s: number) => Math.exp(-(z ** 2) / (2 * s ** 2));
    const weights = grid.map(
      (x0) => (0.2 * normal(x0 - 0.5, 0.3) + 0.8 * normal(x0 + 1, 0.3)) * normal(x - 0.7 * x0, 0.6),
    );
    const want = grid.reduce((sum, x0, i) => sum + x0 * weights[i]!, 0) / weights.reduce((sum, w) => sum + w, 0);
    const got = tf.tidy(() => mixtureDenoiser(mixture, tf.tensor2d([[x]]), level).dataSync()[0]!);
    expect(Math.abs(got - want)).toBeLessThan(3e-7);
  });
});

describe("order of convergence on an analytic mixture", () => {
  // Slopes over 12 to 48 steps, where they are not yet their limit: measured within 0.15 of theory, of which this is three times.
  it.each([
    ["EulerDiscreteScheduler", {}, 1],
    ["HeunDiscreteScheduler", {}, 2],
    ["KDPM2DiscreteScheduler", {}, 2],
    ["DPMSolverMultistepScheduler", { solver_order: 1, lower_order_final: false }, 1],
    ["DPMSolverMultistepScheduler", { solver_order: 2, lower_order_final: false }, 2],
    // Multi-step: its first step, of order 1, costs some of the third order (measured: 2.3). The single-step form has no such start.
    ["DPMSolverMultistepScheduler", { solver_order: 3, lower_order_final: false }, 2.3],
    ["DPMSolverSinglestepScheduler", { solver_order: 3, solver_type: "heun" }, 3],
    ["UniPCMultistepScheduler", { solver_order: 2, lower_order_final: false }, 3],
    ["DEISMultistepScheduler", { solver_order: 2, lower_order_final: false }, 2],
  ])("%s %j: about %i", (_class_name, config, order) => {
    const scheduler = schedulerFromConfig({ _class_name, ...config });
    const noise = keyedNoise(0);
    const measured = tf.tidy(() => {
      const first = scheduler.plan({ sigmas: sigmas(1) }).levels[0]!;
      const x = noise.at("x").normal([64, 2]).mul<tf.Tensor2D>(first.sigma);
      return measureConvergence(scheduler, SMOOTH, x, noise, {
        steps: [12, 24, 48],
        reference: 384,
        planOf: (n) => scheduler.plan({ sigmas: sigmas(n) }),
      });
    });
    expect(Math.abs(orderOfConvergence(measured) - order)).toBeLessThan(0.45);
  });
});

describe("stochastic samplers", () => {
  it.each(["DDPMScheduler", "EulerAncestralDiscreteScheduler", "DPMSolverSDEScheduler"])(
    "%s reaches the data's mean and variance, within four standard errors and 2 %% for the steps",
    (_class_name) => {
      const n = 4000;
      const data = { means: [[0.7]], deviation: 0.5 };
      const scheduler = schedulerFromConfig({ _class_name, clip_sample: false, beta_start: 0.0001, beta_end: 0.02 });
      const values = tf.tidy(() => {
        const plan = scheduler.plan(100);
        const noise = keyedNoise(3);
        const x = noise.at("x").normal([n, 1]).mul<tf.Tensor2D>(plan.initNoiseSigma);
        return [...sampleMixture(plan, data, x, noise).dataSync()];
      });
      const mean = values.reduce((sum, x) => sum + x, 0) / n;
      const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / n;
      expect(Math.abs(mean - 0.7)).toBeLessThan((4 * 0.5) / Math.sqrt(n) + 0.02 * 0.7);
      expect(Math.abs(variance / 0.25 - 1)).toBeLessThan(4 * Math.sqrt(2 / n) + 0.02);
    },
  );
});
