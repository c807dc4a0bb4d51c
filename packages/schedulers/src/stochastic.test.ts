import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { brownianNoise } from "./noise/brownian.js";
import { sampleMixture } from "./analysis/convergence.js";
import { schedulerFromConfig } from "./from-config.js";
import { keyedNoise } from "./noise/keyed-noise.js";
import type { PlanRequest } from "./scheduler.js";
import { useWasm } from "./testing/wasm.js";

beforeAll(useWasm);

/** Two Gaussians of different weight: mean -0.05, variance 0.09 + 0.1875. */
const DATA = { means: [[0.7], [-0.3]], deviation: 0.3, weights: [0.25, 0.75] };
const MEAN = -0.05;
const VARIANCE = 0.3 ** 2 + 0.25 * 0.75;

/**
 * With a probability of 99.99 % (z = 3.89), the mean of n samples is within z deviation / sqrt(n) of its expectation,
 * and the variance within z sqrt((m4 - variance^2) / n). There are enough steps to keep the sampler's error below half
 * of that.
 */
const Z = 3.89;
const N = 6000;

function expectMoments(values: readonly number[]): void {
  const mean = values.reduce((sum, x) => sum + x, 0) / N;
  const moment = (power: number) => values.reduce((sum, x) => sum + (x - mean) ** power, 0) / N;
  expect(Math.abs(mean - MEAN)).toBeLessThan(Z * Math.sqrt(VARIANCE / N));
  expect(Math.abs(moment(2) - VARIANCE)).toBeLessThan(Z * Math.sqrt((moment(4) - VARIANCE ** 2) / N));
}

describe("stochastic samplers draw the data's mean and variance, within the 99.99 % interval of 6,000 samples", () => {
  /** Evenly spaced in log sigma, and then to the end. */
  const from20 = (n: number, end: number) => ({
    sigmas: [...Array.from({ length: n }, (_, i) => 20 * (0.02 / 20) ** (i / (n - 1))), end],
  });
  it.each<[name: string, config: object, request: PlanRequest]>([
    ["DDPM", { clip_sample: false }, 500],
    ["DDPM", { clip_sample: false, variance_type: "fixed_large" }, 500],
    ["DDIM", { clip_sample: false }, 250],
    ["EulerAncestralDiscrete", {}, from20(250, 0)],
    ["KDPM2AncestralDiscrete", {}, from20(60, 0)],
    ["DPMSolverSDE", {}, from20(60, 0)],
    ["DPMSolverMultistep", { algorithm_type: "sde-dpmsolver++" }, from20(60, 0)],
    // As published, a block's last step draws new noise and discards that of its first step, so its error is larger
    // than that of 2M.
    ["DPMSolverSinglestep", { algorithm_type: "sde-dpmsolver++" }, from20(400, 0)],
    ["SASolver", {}, from20(60, 0.01)],
    ["ScoreSdeVp", {}, 500],
  ])("%s %j", (name, config, request) => {
    const values = tf.tidy(() => {
      const plan = schedulerFromConfig({ _class_name: `${name}Scheduler`, ...config }).plan(request);
      const noise = keyedNoise(3);
      const x = noise.at("x").normal([N, 1]).mul<tf.Tensor2D>(plan.levels[0]!.sigma);
      return [...sampleMixture(plan, DATA, x, noise, "epsilon", { eta: 1 }).dataSync()];
    });
    expectMoments(values);
  });

  it("DPMSolverSDE on a Brownian path also does, and gives nearly the same samples with other steps", () => {
    const run = (steps: number) =>
      tf.tidy(() => {
        const plan = schedulerFromConfig({ _class_name: "DPMSolverSDEScheduler", use_karras_sigmas: true }).plan(steps);
        const path = brownianNoise(8, 0, plan.sigmas[0]!);
        const x = keyedNoise(3).normal([300, 1]).mul<tf.Tensor2D>(plan.initNoiseSigma);
        return [...sampleMixture(plan, DATA, x, path).dataSync()];
      });
    const [coarse, fine, independent] = [run(15), run(30), run(30).reverse()];
    const distance = (a: number[], b: number[]) =>
      Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0) / a.length);
    expect(distance(coarse, fine)).toBeLessThan(distance(fine, independent) / 3);
  });
});
