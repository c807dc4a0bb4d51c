/** Flow matching trains through `denoisingLoss`; here: its pairs (reflow) and how straight its paths are. */
import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  FlowMatchEulerDiscreteScheduler,
  FlowMatchHeunDiscreteScheduler,
  keyedNoise,
  type Network,
  runPlan,
} from "@tfjs-diffusion/schedulers";
import { denoisingLoss } from "./denoising-loss.js";
import { straightness } from "./straightness.js";

const scheduler = new FlowMatchEulerDiscreteScheduler();
const T = 1000;
/** Deviation of the data, N(0, s^2). */
const S = 0.25;

const told = (timesteps: number[]) =>
  tf.tensor2d(
    timesteps.map((t) => t / T),
    [timesteps.length, 1],
  );

/**
 * The velocity that minimises the loss for independent noise: E[noise - x0 | x], linear in x for Gaussian data. Along
 * its paths x keeps its deviation r(sigma) = sqrt((1 - sigma)^2 S^2 + sigma^2), so that v = r' / r x.
 */
const ofIndependentNoise: Network<tf.Tensor2D> = (x, timesteps) =>
  tf.tidy(() => {
    const sigma = told(timesteps);
    const rest = tf.sub(1, sigma);
    const variance = rest
      .square()
      .mul(S ** 2)
      .add(sigma.square());
    return x.mul(sigma.sub(rest.mul(S ** 2))).div(variance);
  });

/** The velocity for pairs x0 = S noise: the paths are straight, x = ((1 - sigma) S + sigma) noise. */
const ofPairs: Network<tf.Tensor2D> = (x, timesteps) =>
  tf.tidy(() =>
    x.mul(1 - S).div(
      told(timesteps)
        .mul(1 - S)
        .add(S),
    ),
  );

const makeNoise = (seed: number) => keyedNoise(seed).normal([512, 2]) as tf.Tensor2D;

describe("straightness", () => {
  it("is 0 for straight paths, and does not depend on the number of steps", () => {
    const start = makeNoise(0);
    // Float32: velocities near 1 are read to 1e-7; squared.
    for (const steps of [1, 10]) expect(straightness({ scheduler, model: ofPairs, start, steps })).toBeLessThan(1e-12);
    start.dispose();
  });

  it("is the integral of the squared change of speed for paths that shrink unevenly", () => {
    const start = makeNoise(1);
    // Every path is r(sigma) z: mean(z^2) times the integral of r'^2, by Simpson's rule, minus (r(1) - r(0))^2.
    const r = (sigma: number) => Math.hypot((1 - sigma) * S, sigma);
    const speed = (sigma: number) => (sigma - (1 - sigma) * S ** 2) / r(sigma);
    const n = 2000;
    const weight = (i: number) => (i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2);
    const integral =
      Array.from({ length: n + 1 }, (_, i) => weight(i) * speed(i / n) ** 2).reduce((a, b) => a + b) / (3 * n);
    const square = tf.tidy(() => start.square().mean().dataSync()[0]!);
    const expected = square * (integral - (1 - S) ** 2);
    const measured = (steps: number) => straightness({ scheduler, model: ofIndependentNoise, start, steps });
    // Euler's method has order 1: from 200 to 400 steps the difference halves, and the rest is of second order.
    const extrapolated = 2 * measured(400) - measured(200);
    expect(Math.abs(extrapolated - expected)).toBeLessThan(0.01 * expected);
    start.dispose();
  });

  it("refuses a method that calls the network twice a step, and leaves no tensor", () => {
    const start = makeNoise(2);
    const before = tf.memory().numTensors;
    straightness({ scheduler, model: ofPairs, start, steps: 3 });
    const heun = new FlowMatchHeunDiscreteScheduler();
    expect(() => straightness({ scheduler: heun, model: ofPairs, start })).toThrow("Use FlowMatchEulerDiscrete");
    expect(tf.memory().numTensors).toBe(before);
    start.dispose();
  });
});

describe("Reflow", () => {
  it("pairs each sample with the noise it was drawn from; then straight paths have loss 0, and others have not", () => {
    tf.tidy(() => {
      const pairedNoise = makeNoise(3);
      const x0 = pairedNoise.mul<tf.Tensor2D>(S);
      const loss = (model: Network<tf.Tensor2D>, pairs: { pairedNoise?: tf.Tensor2D }) =>
        denoisingLoss({ scheduler, model, x0, noise: keyedNoise(4), ...pairs }).dataSync()[0]!;
      expect(loss(ofPairs, { pairedNoise })).toBeLessThan(1e-11);
      expect(loss(ofIndependentNoise, { pairedNoise })).toBeGreaterThan(0.01);
      expect(loss(ofPairs, {})).toBeGreaterThan(0.1);
    });
  });

  it("makes one step as good as a hundred", () => {
    tf.tidy(() => {
      const start = makeNoise(5);
      const drawn = (model: Network<tf.Tensor2D>, steps: number) =>
        runPlan(scheduler.plan(steps), model, start, keyedNoise(0));
      const difference = (model: Network<tf.Tensor2D>) =>
        drawn(model, 1).sub(drawn(model, 100)).abs().max().dataSync()[0]!;
      expect(difference(ofPairs)).toBeLessThan(1e-5);
      expect(difference(ofIndependentNoise)).toBeGreaterThan(0.1);
    });
  });
});
