import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { type KeyedNoise, keyedNoise, UnCLIPScheduler } from "@tfjs-diffusion/schedulers";
import { learnedVarianceLoss } from "./learned-variance-loss.js";
import { DECODER_SCHEDULER } from "./unclip-config.js";

const scheduler = new UnCLIPScheduler(DECODER_SCHEDULER);
const SHAPE: [number, number, number, number] = [4, 4, 4, 3];
const x0 = () => keyedNoise(1).uniform(SHAPE).mul<tf.Tensor4D>(1.6).sub<tf.Tensor4D>(0.8);

/** The loss of a network that knows x0, errs by `error` in the noise, and gives the same v everywhere. */
function lossOf(error: number, v: number, noise = keyedNoise(2)): number {
  return tf.tidy(() => {
    const clean = x0();
    const model = (noisy: tf.Tensor4D, timesteps: number[]) => {
      const bars = timesteps.map((t) => scheduler.alphaBar[t]!);
      const row = (values: number[]) => tf.tensor4d(values, [values.length, 1, 1, 1]);
      const epsilon = noisy.sub(clean.mul(row(bars.map(Math.sqrt)))).div(row(bars.map((bar) => Math.sqrt(1 - bar))));
      return tf.concat<tf.Tensor4D>([epsilon.add<tf.Tensor4D>(error), tf.fill(SHAPE, v)], 3);
    };
    return learnedVarianceLoss({ scheduler, model, x0: clean, noise }).dataSync()[0]!;
  });
}

describe("The loss of a network that learns its variance", () => {
  beforeAll(() => useBackend("cpu"));

  it("is nothing for the true noise and the posterior's variance, which is v = -1", () => {
    expect(Math.abs(lossOf(0, -1))).toBeLessThan(1e-4);
    // At timestep 1, where the posterior's variance and beta differ most.
    const at = (v: number) => lossOf(0, v, onlyTimestep(1));
    for (const v of [-1.3, -0.7, 0, 1]) expect(at(v)).toBeGreaterThan(at(-1) + 1e-4);
  });

  it("has its best variance where it equals the posterior's and the mean's squared error together", () => {
    // One timestep, whose numbers are worked out here from the schedule alone.
    const t = 400;
    const [bar, previous] = [scheduler.alphaBar[t]!, scheduler.alphaBar[t - 1]!];
    const beta = 1 - bar / previous;
    const posteriorVariance = (beta * (1 - previous)) / (1 - bar);
    const error = 0.2;
    const meanError = ((Math.sqrt(previous) * beta) / (1 - bar)) * error * Math.sqrt((1 - bar) / bar);
    const best = posteriorVariance + meanError ** 2;
    const v = (2 * Math.log(best / posteriorVariance)) / Math.log(beta / posteriorVariance) - 1;
    const noise = onlyTimestep(t);
    const at = (value: number) => lossOf(error, value, noise);
    const bound = (0.5 * Math.log(best / posteriorVariance)) / Math.LN2;
    expect(at(v)).toBeCloseTo(error ** 2 + bound, 4);
    expect(at(v)).toBeLessThan(at(v - 0.5));
    expect(at(v)).toBeLessThan(at(v + 0.5));
  });

  it("moves the prediction by the squared error alone, and the variance by the bound alone", () => {
    const [prediction, variance] = tf.tidy(() => {
      const both = tf.grads((epsilon: tf.Tensor, v: tf.Tensor) =>
        learnedVarianceLoss({
          scheduler,
          model: () => tf.concat<tf.Tensor4D>([epsilon as tf.Tensor4D, v as tf.Tensor4D], 3),
          x0: x0(),
          noise: keyedNoise(5),
        }),
      )([tf.zeros(SHAPE), tf.zeros(SHAPE)]);
      const epsilon = keyedNoise(5).at("epsilon").normal(SHAPE);
      const ofSquares = epsilon.mul(-2 / epsilon.size);
      return [both[0]!.sub(ofSquares).abs().max().dataSync()[0]!, both[1]!.abs().min().dataSync()[0]!];
    });
    expect(prediction).toBeLessThan(1e-8);
    expect(variance).toBeGreaterThan(0);
  });

  it("frees all tensors but the loss", () => {
    const clean = x0();
    const before = tf.memory().numTensors;
    const model = (noisy: tf.Tensor4D) => tf.concat<tf.Tensor4D>([noisy, noisy], 3);
    const loss = learnedVarianceLoss({ scheduler, model, x0: clean, noise: keyedNoise(3) });
    expect(tf.memory().numTensors).toBe(before + 1);
    tf.dispose([loss, clean]);
  });
});

/** Noise whose random whole numbers are always `t`. */
function onlyTimestep(t: number): KeyedNoise {
  const noise = keyedNoise(4);
  const random = { uniform: () => 0, integer: () => t };
  const timesteps: KeyedNoise = Object.assign(Object.create(noise) as KeyedNoise, { random: () => random });
  const at = (...path: readonly (number | string)[]) => (path[0] === "timesteps" ? timesteps : noise.at(...path));
  return Object.assign(Object.create(noise) as KeyedNoise, { at });
}
