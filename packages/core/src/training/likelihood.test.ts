import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  DDIMScheduler,
  EDMEulerScheduler,
  FlowMatchEulerDiscreteScheduler,
  karrasSigmas,
  keyedNoise,
  type Scheduler,
} from "@tfjs-diffusion/schedulers";
import { denoisingErrors } from "./denoising-errors.js";
import { logLikelihood } from "./likelihood.js";
import { bellsSample, exactNetwork, TWO_BELLS } from "./testing/exact-network.js";

/** ln of the density of TWO_BELLS with noise sigma. */
function logDensity(at: number[], sigma: number): number {
  const variance = TWO_BELLS.deviation ** 2 + sigma ** 2;
  const terms = TWO_BELLS.means.map((mean) => {
    const square = mean.reduce((sum, m, d) => sum + (at[d]! - m) ** 2, 0);
    return Math.exp(-square / (2 * variance)) / (2 * Math.PI * variance);
  });
  return Math.log((terms[0]! + terms[1]!) / 2);
}

const cases: [string, Scheduler, number[]][] = [
  ["EDM", new EDMEulerScheduler(), karrasSigmas(120, 80, 0.01).reverse()],
  [
    "DDPM's timesteps",
    new DDIMScheduler({ clip_sample: false, prediction_type: "v_prediction" }),
    Array.from({ length: 200 }, (_, i) => 5 * i),
  ],
  [
    "flow matching",
    new FlowMatchEulerDiscreteScheduler(),
    Array.from({ length: 200 }, (_, i) => 1 / (1 + Math.exp(4.6 - (9.2 * i) / 199))),
  ],
];

describe("logLikelihood", () => {
  it.each(cases)(
    "is the density of the data, with the best denoiser and the exact trace: %s",
    (_, scheduler, times) => {
      const x0 = bellsSample(12, keyedNoise(1));
      const model = exactNetwork(scheduler);
      const found = logLikelihood({ scheduler, model, x0, times, trace: "exact", sigmaData: 0.45 });
      const { input } = scheduler.training!.at(times[0]!);
      const points = x0.arraySync();
      // Heun's method over a hundred and more steps, and a last level whose Gaussian is nearly the data's.
      found.forEach((value, i) =>
        expect(Math.abs(value - logDensity(points[i]!, input.ofNoise / input.ofX0))).toBeLessThan(0.03),
      );
      x0.dispose();
    },
  );

  it("is the same on average with random directions for the trace, and frees what it makes", () => {
    const [[, scheduler]] = [cases[0]!];
    const times = karrasSigmas(40, 80, 0.01).reverse();
    const x0 = bellsSample(8, keyedNoise(2));
    const model = exactNetwork(scheduler);
    const before = tf.memory().numTensors;
    const exact = logLikelihood({ scheduler, model, x0, times, trace: "exact" });
    const estimates = Array.from({ length: 8 }, (_, k) =>
      logLikelihood({ scheduler, model, x0, times, trace: { directions: 2, noise: keyedNoise(k) } }),
    );
    expect(tf.memory().numTensors).toBe(before);
    const means = exact.map((_, i) => estimates.reduce((sum, values) => sum + values[i]!, 0) / estimates.length);
    const apart = means.map((value, i) => value - exact[i]!);
    const spread = Math.hypot(...estimates.flatMap((values) => values.map((value, i) => value - means[i]!))) / 8;
    expect(spread).toBeGreaterThan(0);
    // Mean over 8 samples of means over 8 estimates: 1 / 8 of the spread of one; four of it.
    expect(Math.abs(apart.reduce((sum, value) => sum + value, 0) / 8)).toBeLessThan((4 * spread) / 8);
    x0.dispose();
  });

  it("refuses times that do not rise", () => {
    const [[, scheduler]] = [cases[0]!];
    const x0 = bellsSample(2, keyedNoise(2));
    const shared = { scheduler, model: exactNetwork(scheduler), x0, trace: "exact" as const };
    expect(() => logLikelihood({ ...shared, times: [1, 0.5] })).toThrow("give at least two whose levels rise");
    x0.dispose();
  });
});

describe("denoisingErrors", () => {
  it("are, for the best denoiser of one bell, the variance that is left, and larger for another network", () => {
    const bell = { means: [[0.2, 0.2]], deviation: 0.5 };
    const scheduler = new DDIMScheduler({ clip_sample: false });
    const x0 = tf.tidy(() => keyedNoise(1).normal([20_000, 2]).mul(0.5).add<tf.Tensor2D>(0.2));
    const times = [100, 400, 700];
    const before = tf.memory().numTensors;
    const errors = denoisingErrors({
      scheduler,
      model: exactNetwork(scheduler, bell),
      x0,
      noise: keyedNoise(2),
      times,
    });
    expect(tf.memory().numTensors).toBe(before);
    times.forEach((t, i) => {
      const bar = scheduler.alphaBar[t]!;
      const left = (0.25 * (1 - bar)) / (0.25 * bar + 1 - bar);
      // 40,000 squares of deviation sqrt(2) times their mean: 0.7 %; four of it.
      expect(Math.abs(errors[i]! - left)).toBeLessThan(0.03 * left);
    });
    const worse = denoisingErrors({ scheduler, model: (x) => x.mul(0.5), x0, noise: keyedNoise(2), times });
    worse.forEach((error, i) => expect(error).toBeGreaterThan(1.1 * errors[i]!));
    x0.dispose();
  });
});
