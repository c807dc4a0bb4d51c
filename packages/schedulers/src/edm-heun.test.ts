import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { type Denoise, edmHeun } from "./edm-heun.js";
import { exactFlow } from "./analysis/probability-flow.js";
import { mixtureDenoiser } from "./analysis/mixture.js";
import { keyedNoise } from "./noise/keyed-noise.js";
import { runPlan } from "./run-plan.js";
import { EDMEulerScheduler } from "./methods/edm.js";
import { karrasSigmas } from "./sigma-schedule.js";

const BELLS = {
  means: [
    [0.6, -0.3],
    [-0.5, 0.4],
  ],
  deviation: 0.5,
};
const exact: Denoise<tf.Tensor2D> = (x, [sigma]) => mixtureDenoiser(BELLS, x, { alpha: 1, sigma: sigma! });
const startingNoise = () => keyedNoise(0).normal([32, 2]) as tf.Tensor2D;

beforeAll(() => tf.setBackend("cpu"));

describe("edmHeun", () => {
  it("converges with order 2 to the exact flow", () => {
    const start = startingNoise();
    const starts = start.arraySync();
    const error = (steps: number) => {
      const sigmas = Array.from({ length: steps + 1 }, (_, i) => 80 * (0.2 / 80) ** (i / steps));
      const drawn = edmHeun(exact, start, sigmas);
      const ends = drawn.arraySync();
      drawn.dispose();
      const squares = starts.flatMap((row, b) =>
        exactFlow(
          BELLS,
          row.map((z) => 80 * z),
          80,
          0.2,
        ).map((value, d) => (value - ends[b]![d]!) ** 2),
      );
      return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
    };
    expect(Math.abs(Math.log2(error(36) / error(72)) - 2)).toBeLessThan(0.2);
    start.dispose();
  });

  it("takes an Euler step to 0, and with s_churn keeps the data's deviation", () => {
    const one = { means: [[0.25, 0.25]], deviation: 0.3 };
    const denoise: Denoise<tf.Tensor2D> = (x, [sigma]) => mixtureDenoiser(one, x, { alpha: 1, sigma: sigma! });
    const start = keyedNoise(1).normal([4096, 2]) as tf.Tensor2D;
    const sigmas = [...karrasSigmas(24, 20, 0.01), 0];
    const moments = (options: object) => {
      const drawn = edmHeun(denoise, start, sigmas, options);
      const { mean, variance } = tf.moments(drawn);
      const result = [mean.dataSync()[0]!, Math.sqrt(variance.dataSync()[0]!)];
      tf.dispose([drawn, mean, variance]);
      return result;
    };
    for (const options of [{}, { s_churn: 20, s_noise: 1, noise: keyedNoise(2) }]) {
      const [mean, deviation] = moments(options);
      // Sampling error of 8192 numbers: 0.3 / sqrt(8192) = 0.0033 for the mean; four of it.
      expect(Math.abs(mean! - 0.25)).toBeLessThan(0.014);
      expect(Math.abs(deviation! - 0.3)).toBeLessThan(0.014);
    }
    expect(moments({ s_churn: 20, noise: keyedNoise(2) })).not.toEqual(moments({}));
    start.dispose();
  });

  it("refuses levels that do not fall, and churn without noise; leaves its result alone", () => {
    const start = startingNoise();
    const before = tf.memory().numTensors;
    expect(() => edmHeun(exact, start, [1, 2])).toThrow("sigmas are [1, 2]");
    expect(() => edmHeun(exact, start, [2, 1], { s_churn: 1 })).toThrow("give noise: keyedNoise(seed)");
    edmHeun(exact, start, [2, 1, 0]).dispose();
    expect(tf.memory().numTensors).toBe(before);
    start.dispose();
  });
});

describe("runPlan", () => {
  it("is the loop over a plan, written out", () => {
    const plan = new EDMEulerScheduler().plan(5);
    tf.tidy(() => {
      const start = startingNoise();
      const network = (x: tf.Tensor) => tf.tidy(() => x.mul(0.3));
      let state = plan.start(start);
      plan.timesteps.forEach((_, i) => {
        state = plan.step(state, network(plan.scaleInput(state.x, i)), i, keyedNoise(0));
      });
      const together = runPlan(plan, network, start, keyedNoise(0));
      expect([...together.dataSync()]).toEqual([...state.x.dataSync()]);
    });
  });

  it("scales what the network is shown, tells each sample the timestep, and frees what it holds, also when the network throws", () => {
    const plan = new EDMEulerScheduler().plan(3);
    const start = startingNoise();
    const before = tf.memory().numTensors;
    const told: number[][] = [];
    runPlan(plan, (x, t) => (told.push(t), x.clone()), start, keyedNoise(0)).dispose();
    expect(told).toEqual(plan.timesteps.map((t) => Array<number>(32).fill(t)));
    expect(() =>
      runPlan(
        plan,
        () => {
          throw new Error("no");
        },
        start,
        keyedNoise(0),
      ),
    ).toThrow("no");
    expect(tf.memory().numTensors).toBe(before);
    start.dispose();
  });
});
