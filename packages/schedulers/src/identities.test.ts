import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { DDIMScheduler } from "./methods/ddim.js";
import { DDPMScheduler } from "./methods/ddpm.js";
import { diffuse, posterior, velocityOf } from "./forward.js";
import { schedulerFromConfig } from "./from-config.js";
import { keyedNoise } from "./noise/keyed-noise.js";
import { levelOf, outputFor, predict, predictEpsilon, type PredictionType, predictX0 } from "./prediction.js";
import type { Scheduler, State } from "./scheduler.js";
import { formula, relativeRms } from "./testing/trajectories.js";

beforeAll(() => tf.setBackend("cpu"));

const between = (min: number, max: number) => fc.double({ min, max, noNaN: true });

describe("posterior", () => {
  it("is the Gaussian that Bayes' rule gives on a grid, at any two levels and for any x0 and x_t", () => {
    const levels = fc
      .tuple(between(0.02, 0.9), between(0.05, 0.95))
      .map(([bar, share]) => [bar, bar + share * (1 - bar)] as const);
    fc.assert(
      fc.property(levels, between(-2, 2), between(-2, 2), ([bar, previous], x0, xt) => {
        const gaussian = (x: number, mean: number, variance: number) => Math.exp(-((x - mean) ** 2) / (2 * variance));
        const alpha = bar / previous;
        // q(x_s | x0) q(x_t | x_s), on a grid of twenty deviations around the mean that x0 implies.
        const width = 20 * Math.sqrt(1 - previous);
        const grid = Array.from({ length: 20_001 }, (_, i) => Math.sqrt(previous) * x0 + width * (i / 10_000 - 1));
        const weights = grid.map(
          (x) => gaussian(x, Math.sqrt(previous) * x0, 1 - previous) * gaussian(xt, Math.sqrt(alpha) * x, 1 - alpha),
        );
        const total = weights.reduce((sum, w) => sum + w, 0);
        const mean = grid.reduce((sum, x, i) => sum + x * weights[i]!, 0) / total;
        const variance = grid.reduce((sum, x, i) => sum + (x - mean) ** 2 * weights[i]!, 0) / total;
        const { ofX0, ofXt, variance: own } = posterior(bar, previous);
        expect(ofX0 * x0 + ofXt * xt).toBeCloseTo(mean, 9);
        expect(Math.abs(own / variance - 1)).toBeLessThan(1e-8);
      }),
      { numRuns: 40, seed: 3 },
    );
  });
});

describe("prediction types", () => {
  const TYPES: PredictionType[] = ["epsilon", "sample", "v_prediction", "flow_prediction"];
  // x = alpha x0 + sigma epsilon for variance-preserving, variance-exploding and straight-line levels; in (0.1, 1) both
  // weights have an effect.
  const anyLevel = fc.oneof(
    between(0.01, 0.99).map(levelOf),
    between(0.1, 10).map((sigma) => ({ alpha: 1, sigma })),
    between(0.1, 0.9).map((sigma) => ({ alpha: 1 - sigma, sigma })),
  );
  const values = fc.array(between(-3, 3), { minLength: 4, maxLength: 4 });

  it.each(TYPES)("%s: x and output, converted to x0 and noise and back, are the same to 1e-6", (type) => {
    fc.assert(
      fc.property(anyLevel, values, values, (level, xs, outputs) => {
        tf.tidy(() => {
          const [x, output] = [tf.tensor(xs), tf.tensor(outputs)];
          const x0 = predictX0(type, output, x, level);
          const epsilon = predictEpsilon(type, output, x, level);
          const mixed = x0.mul(level.alpha).add(epsilon.mul(level.sigma));
          // Relative to the terms, because their rounding remains where they cancel.
          const size = 1 + Math.max(...x0.abs().dataSync(), ...epsilon.abs().dataSync()) * Math.max(1, level.sigma);
          expect(mixed.sub(x).abs().max().dataSync()[0]! / size).toBeLessThan(1e-6);
          const again = outputFor(type, x0, x, level);
          const weight = Math.max(1, 1 / level.sigma);
          expect(again.sub(output).abs().max().dataSync()[0]! / (size * weight)).toBeLessThan(1e-6);
        });
      }),
      { numRuns: 60, seed: 11 },
    );
  });

  it.each([
    ["epsilon", (_: number, e: number) => e],
    ["sample", (x0: number) => x0],
    ["v_prediction", (x0: number, e: number, a: number, s: number) => (a * e - s * x0) / Math.hypot(a, s)],
    ["flow_prediction", (x0: number, e: number) => e - x0],
  ] as const)("%s recovers the clean sample and the noise of x, at levels of every kind", (type, outputOf) => {
    fc.assert(
      fc.property(anyLevel, between(-2, 2), between(-3, 3), ({ alpha, sigma }, x0, epsilon) => {
        tf.tidy(() => {
          const output = tf.tensor([outputOf(x0, epsilon, alpha, sigma)]);
          const x = tf.tensor([alpha * x0 + sigma * epsilon]);
          // One float32 rounding of x and of the output (numbers to 30), divided by alpha or sigma at worst.
          const tolerance = (1.2e-7 * (3 + 3 * sigma)) / Math.min(alpha, sigma);
          expect(Math.abs(predictX0(type, output, x, { alpha, sigma }).dataSync()[0]! - x0)).toBeLessThan(tolerance);
          expect(Math.abs(predictEpsilon(type, output, x, { alpha, sigma }).dataSync()[0]! - epsilon)).toBeLessThan(
            tolerance,
          );
        });
      }),
      { numRuns: 60, seed: 12 },
    );
  });

  it("noisy samples and their velocity give x0 and noise, with one timestep for each sample, to 1e-6", () => {
    const scheduler = schedulerFromConfig({ _class_name: "DDIMScheduler" });
    const bars = [3, 500, 750].map((t) => scheduler.alphaBar[t]!);
    tf.tidy(() => {
      const noise = keyedNoise(5);
      const [x0, epsilon] = [noise.uniform([3, 4, 4, 2]), noise.normal([3, 4, 4, 2])];
      const x = scheduler.addNoise(x0, epsilon, [3, 500, 750]);
      const v = scheduler.velocity(x0, epsilon, [3, 500, 750]);
      expect(relativeRms(x, diffuse(x0, epsilon, bars))).toBeLessThan(1e-7);
      expect(relativeRms(v, velocityOf(x0, epsilon, bars))).toBeLessThan(1e-7);
      bars.forEach((bar, b) => {
        const one = (tensor: tf.Tensor) => tensor.slice([b], [1]);
        const back = predict("v_prediction", one(v), one(x), bar);
        expect(relativeRms(back.x0, one(x0))).toBeLessThan(1e-6);
        expect(relativeRms(back.epsilon, one(epsilon))).toBeLessThan(1e-6);
      });
    });
  });
});

describe("DDIM", () => {
  it("with eta = 1 over all steps is DDPM with fixed_small", () => {
    // DDPM computes alpha in float32, as published. Its rounding of 3e-8 is 3e-4 of a beta of 1e-4, and 3e-6 of one of
    // 0.01. Measured here with betas from 0.01: 1.1e-6. (With alpha in float64 the two samplers agree to the last bit.)
    const config = { num_train_timesteps: 100, beta_start: 0.01, beta_end: 0.2, clip_sample: false };
    const run = (scheduler: Scheduler) => {
      const plan = scheduler.plan(100);
      const noise = keyedNoise(0);
      let state: State = plan.start(noise.at("x").normal([2, 3, 5, 1]));
      plan.timesteps.forEach((t, i) => {
        // DDIM also draws noise in its last step, with weight 0.
        state = plan.step(state, formula(state.x, t), i, noise.at(i), { eta: 1 });
      });
      return state.x;
    };
    tf.tidy(() =>
      expect(relativeRms(run(new DDIMScheduler(config)), run(new DDPMScheduler(config)))).toBeLessThan(3e-6),
    );
  });

  it("is Euler's method if the clean sample stays the same", () => {
    // x = x0 + sigma z moves on a straight line to x0, so both are exact for any step length.
    const timesteps = [990, 700, 300, 20];
    const x0 = 0.3;
    const ends = ["DDIMScheduler", "EulerDiscreteScheduler"].map((_class_name) =>
      tf.tidy(() => {
        const plan = schedulerFromConfig({ _class_name, prediction_type: "sample", clip_sample: false }).plan({
          timesteps,
        });
        let state = plan.resume(plan.addNoise(tf.fill([5], x0), tf.tensor([-2, -1, 0, 1, 2]), 0), 0);
        const seen = timesteps.map((_, i) => {
          state = plan.step(state, tf.fill([5], x0), i, keyedNoise(0));
          const end = i + 1 < timesteps.length ? plan.levels[i + 1]!.alpha : 1;
          return [...state.x.div(end).dataSync()];
        });
        return seen.flat();
      }),
    );
    ends[0]!.forEach((value, i) => expect(Math.abs(value - ends[1]![i]!)).toBeLessThan(1e-5 * (1 + Math.abs(value))));
  });
});

describe("UnCLIP", () => {
  it("ends, from any last timestep, at the clean sample that the network predicts", () => {
    tf.tidy(() => {
      const plan = schedulerFromConfig({ _class_name: "UnCLIPScheduler" }).plan({ timesteps: [500] });
      const [x, output] = [tf.tensor([-0.5, 0.1, 0.6]), tf.tensor([-0.4, 0, 0.3])];
      const { x: end } = plan.step(plan.resume(x, 0), output, 0, keyedNoise(0));
      expect(relativeRms(end, predictX0("epsilon", output, x, plan.levels[0]!))).toBeLessThan(1e-6);
    });
  });
});
