import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { measureConvergence, orderOfConvergence } from "./convergence.js";
import { DDIMScheduler } from "../methods/ddim.js";
import { ALGORITHMS, exponentialStep } from "../numerics/exponential-integrator.js";
import { schedulerFromConfig } from "../from-config.js";
import { keyedNoise } from "../noise/keyed-noise.js";
import { mixtureDenoiser } from "./mixture.js";
import type { PredictionType } from "../prediction.js";
import { exactFlow, posteriorMean } from "./probability-flow.js";
import type { PlanOptions, PlanRequest, Scheduler } from "../scheduler.js";

beforeAll(() => tf.setBackend("cpu"));

const SMOOTH = {
  means: [
    [0.6, -0.3],
    [-0.5, 0.4],
  ],
  deviation: 0.5,
};
const startingNoise = (n: number) => keyedNoise(0).normal([n, 2]) as tf.Tensor2D;

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
    expect(Math.abs(posteriorMean(mixture, [x / 0.7], 0.6 / 0.7)[0]! - want)).toBeLessThan(1e-12);
  });
});

describe("exactFlow", () => {
  it("is the closed form if the data are one Gaussian: y - mean shrinks like the deviation of y", () => {
    const data = { means: [[0.7, -2]], deviation: 0.5 };
    const scale = Math.hypot(0.5, 0.3) / Math.hypot(0.5, 40);
    const [a, b] = exactFlow(data, [30, -11], 40, 0.3) as [number, number];
    expect(Math.abs(a - (0.7 + (30 - 0.7) * scale))).toBeLessThan(1e-8);
    expect(Math.abs(b - (-2 + (-11 + 2) * scale))).toBeLessThan(1e-8);
    // To a clean sample the deviation is 0.5, up to the square of the thousandth at which the integration stops.
    expect(
      Math.abs(exactFlow(data, [30, -11], 40, 0)[0]! - (0.7 + ((30 - 0.7) * 0.5) / Math.hypot(0.5, 40))),
    ).toBeLessThan(1e-6);
  });

  it("refuses levels that are not descending, and pure noise", () => {
    const words =
      "exactFlow: from Infinity to 0; give two noise levels, sigma / alpha, in descending order: the first finite, the second 0 or more.";
    expect(() => exactFlow(SMOOTH, [1, 1], Infinity, 0)).toThrow(words);
    expect(() => exactFlow(SMOOTH, [1, 1], 1, 2)).toThrow(RangeError);
  });

  it("gives the same result in one step and in two steps by an intermediate level", () => {
    const halfway = exactFlow(SMOOTH, [20, -3], 60, 1.3);
    const [straight, bent] = [exactFlow(SMOOTH, [20, -3], 60, 0.1), exactFlow(SMOOTH, halfway, 1.3, 0.1)];
    straight.forEach((value, d) => expect(Math.abs(value - bent[d]!)).toBeLessThan(1e-8));
  });
});

/** The order measured over the given numbers of steps. */
function measuredOrder(
  scheduler: Scheduler,
  steps: [number, number],
  request: (n: number) => PlanRequest,
  { options, predicts }: { options?: PlanOptions; predicts?: PredictionType } = {},
): number {
  const planOf = (n: number) => scheduler.plan(request(n), options);
  return tf.tidy(() =>
    orderOfConvergence(measureConvergence(scheduler, SMOOTH, startingNoise(64), { steps, planOf, predicts })),
  );
}

/**
 * From 36 to 72 steps, evenly in log sigma from 80 to 0.2. At sigma 80 the data are invisible, so that the first step
 * of a multi-step method, which has order 1, does not lower the order. Below 0.2 little changes. Errors at 72 steps are
 * 1e-2 to 2e-6; float32 rounding is 3e-7. The slope's relative error is about one step, ln(400) / 72 = 0.08; 0.1 is
 * allowed.
 */
describe("order of convergence to the exact flow", () => {
  const sigmas = (n: number) => ({ sigmas: Array.from({ length: n + 1 }, (_, i) => 80 * (0.2 / 80) ** (i / n)) });
  const make = (name: string, config: object = {}) =>
    schedulerFromConfig({ _class_name: `${name}Scheduler`, ...config });
  const rest = { lower_order_final: false };
  const epsilonForm = { algorithm_type: "dpmsolver", final_sigmas_type: "sigma_min" };
  const exact = { options: { curvature: "exact" as const } };
  it.each<[name: string, config: object, order: number, options?: { options: PlanOptions }]>([
    ["EulerDiscrete", {}, 1],
    ["HeunDiscrete", {}, 2],
    ["KDPM2Discrete", {}, 2],
    ["LMSDiscrete", {}, 4],
    ["DPMSolverMultistep", { solver_order: 1, ...rest }, 1],
    ["DPMSolverMultistep", { solver_order: 2, ...rest }, 2],
    ["DPMSolverMultistep", { solver_order: 2, solver_type: "heun", ...rest }, 2],
    ["DPMSolverMultistep", { solver_order: 3, ...rest }, 3, exact],
    ["DPMSolverMultistep", { solver_order: 3, ...epsilonForm, ...rest }, 3, exact],
    ["DPMSolverSinglestep", { solver_order: 2 }, 2],
    ["DPMSolverSinglestep", { solver_order: 3 }, 3],
    ["DPMSolverSinglestep", { solver_order: 3, solver_type: "heun" }, 3],
    ["UniPCMultistep", { solver_order: 1, ...rest }, 2],
    ["UniPCMultistep", { solver_order: 2, ...rest }, 3],
    ["UniPCMultistep", { solver_order: 3, ...rest }, 4],
    ["DEISMultistep", { solver_order: 1, ...rest }, 1],
    ["DEISMultistep", { solver_order: 2, ...rest }, 2],
    ["DEISMultistep", { solver_order: 3, ...rest }, 3],
  ])("%s %j: %i", (name, config, order, ...[options]) => {
    const measured = measuredOrder(make(name, config), [36, 72], sigmas, options);
    expect(Math.abs(measured - order)).toBeLessThan(0.1 * order);
  });

  it("DPMSolverMultistep, solver_order 3: 2 as published, with a smaller error than solver_order 2", () => {
    const [second, third] = [
      make("DPMSolverMultistep", rest),
      make("DPMSolverMultistep", { ...rest, solver_order: 3 }),
    ];
    expect(Math.abs(measuredOrder(third, [72, 144], sigmas) - 2)).toBeLessThan(0.2);
    const [errorOf2, errorOf3] = [second, third].map((scheduler) =>
      tf.tidy(
        () =>
          measureConvergence(scheduler, SMOOTH, startingNoise(64), {
            steps: [36],
            planOf: (n) => scheduler.plan(sigmas(n)),
          })[0]!.error,
      ),
    );
    expect(errorOf3!).toBeLessThan(errorOf2!);
  });

  it("DDIM: 1, over trained timesteps", () => {
    const scheduler = new DDIMScheduler({ clip_sample: false, timestep_spacing: "trailing" });
    expect(Math.abs(measuredOrder(scheduler, [50, 100], (n) => n) - 1)).toBeLessThan(0.1);
  });

  it.each([
    ["FlowMatchEulerDiscrete", 1],
    ["FlowMatchHeunDiscrete", 2],
  ])("%s: %i", (name, order) => {
    const even = (n: number) => ({ sigmas: Array.from({ length: n }, (_, i) => 0.98 * (1 - i / n)) });
    const measured = measuredOrder(make(name), [36, 72], even, { predicts: "flow_prediction" });
    expect(Math.abs(measured - order)).toBeLessThan(0.1 * order);
  });
});

describe("the weights of an exponential step", () => {
  // The integral over the step of kernel(u) u^k / (k! h^k), by Simpson's rule with 2000 intervals: exact to 1e-12 here.
  const integral = (f: (u: number) => number, h: number) => {
    const n = 2000;
    const at = Array.from({ length: n + 1 }, (_, i) => f((i * h) / n) * (i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2));
    return (at.reduce((sum, value) => sum + value, 0) * h) / (3 * n);
  };
  const level = (lambda: number) => {
    const sigma = 1 / Math.hypot(1, Math.exp(lambda));
    return { lambda, sigma, alpha: sigma * Math.exp(lambda) };
  };
  const [s, t] = [level(-0.4), level(0.5)];
  const h = t.lambda - s.lambda;
  it.each([
    ["dpmsolver++", (u: number) => t.alpha * Math.exp(u - h)],
    ["sde-dpmsolver++", (u: number) => 2 * t.alpha * Math.exp(2 * (u - h))],
    ["dpmsolver", (u: number) => -t.sigma * Math.exp(h - u)],
    ["sde-dpmsolver", (u: number) => -2 * t.sigma * Math.exp(h - u)],
  ] as const)("%s: are the integrals of a constant, a slope and a curvature", (name, kernel) => {
    const step = exponentialStep(ALGORITHMS[name], s, t);
    expect(step.ofOutput).toBeCloseTo(integral(kernel, h), 11);
    expect(step.ofSlope).toBeCloseTo(
      integral((u) => (kernel(u) * u) / h, h),
      11,
    );
    expect(step.ofCurvature).toBeCloseTo(
      integral((u) => (kernel(u) * u ** 2) / (2 * h ** 2), h),
      11,
    );
    // The published weight differs for one of the four.
    expect(step.ofCurvaturePublished === step.ofCurvature).toBe(name !== "sde-dpmsolver++");
  });
});
