import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, keyedNoise, LCMScheduler, type Network } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../testing/backend.js";
import { latentConsistencyLoss } from "./latent-consistency.js";
import { ddimTrajectory } from "./trajectory.js";
import { withoutGradient } from "./without-gradient.js";

const CONFIG = { beta_schedule: "squaredcos_cap_v2", prediction_type: "v_prediction", clip_sample: false } as const;
const scheduler = new DDIMScheduler(CONFIG);
const SHAPE: [number, number, number, number] = [6, 2, 2, 4];
beforeAll(useTestBackend);

type Velocity = Network<tf.Tensor4D>;

/** The exact velocity if all pictures are `only`, where every trajectory ends. */
const velocityTo =
  (only: tf.Tensor4D): Velocity =>
  (x, timesteps) => {
    const bars = timesteps.map((t) => scheduler.alphaBar[t]!);
    const column = (of: (a: number) => number) => tf.tensor4d(bars.map(of), [bars.length, 1, 1, 1]);
    const [alpha, sigma] = [column(Math.sqrt), column((a) => Math.sqrt(1 - a))];
    return alpha.mul(x.sub(alpha.mul(only)).div(sigma)).sub(sigma.mul(only));
  };

const near = (a: tf.Tensor, b: Float32Array) => tf.tidy(() => a.flatten().sub(b).abs().max().dataSync()[0]!);

describe("The latent consistency loss", () => {
  const timesteps = [999, 759, 499, 259, 59, 19];

  it("is 0 for a student that predicts the end of every trajectory, and 1 for one that is off by 1", () => {
    tf.tidy(() => {
      const ends = keyedNoise(0).normal(SHAPE) as tf.Tensor4D;
      const other = ends.add<tf.Tensor4D>(1);
      const x = scheduler.addNoise(ends, keyedNoise(1).normal(SHAPE), timesteps) as tf.Tensor4D;
      const loss = (student: Velocity) =>
        latentConsistencyLoss({ scheduler, student, x, timesteps, ends }).dataSync()[0];
      // Float32 noise: x_t / sigma at the lowest level multiplies it by about 30.
      expect(loss(velocityTo(ends))).toBeLessThan(1e-4);
      // All ends differ by 1.
      expect(loss(velocityTo(other))).toBeCloseTo(1, 2);
    });
  });

  it("has a gradient that agrees with finite differences", () => {
    const ends = keyedNoise(0).normal(SHAPE) as tf.Tensor4D;
    const x = keyedNoise(2).normal(SHAPE) as tf.Tensor4D;
    const weight = tf.variable(tf.scalar(0.3));
    const loss = (w: tf.Scalar) => latentConsistencyLoss({ scheduler, student: (x) => x.mul(w), x, timesteps, ends });
    const { value, grads } = tf.variableGrads(() => loss(weight), [weight]);
    const step = 1e-2;
    const at = (w: number) => tf.tidy(() => loss(tf.scalar(w)).dataSync()[0]!);
    const difference = (at(0.3 + step) - at(0.3 - step)) / (2 * step);
    // The loss has a kink where an error is zero; one of the 96 errors may lie in the step.
    expect(Math.abs(grads[weight.name]!.dataSync()[0]! - difference)).toBeLessThan(2e-2 * Math.abs(difference));
    tf.dispose([ends, x, weight, value, grads]);
  });

  it("jumps as LCMScheduler does, which then draws the end of the trajectory in one step", () => {
    tf.tidy(() => {
      const only = keyedNoise(0).normal(SHAPE) as tf.Tensor4D;
      const plan = new LCMScheduler(CONFIG).plan(1);
      const x = plan.start(keyedNoise(3).normal(SHAPE)).x as tf.Tensor4D;
      const v = velocityTo(only)(
        x,
        SHAPE.slice(0, 1).flatMap((n) => Array<number>(n).fill(plan.timesteps[0]!)),
      );
      const end = plan.step({ x, history: [] }, v, 0, keyedNoise(4)).x;
      expect(end.sub(only).abs().max().dataSync()[0]).toBeLessThan(1e-3);
    });
  });
});

describe("A trajectory", () => {
  it("visits the same points as DDIM and has the same end", () => {
    const noise = keyedNoise(5).normal(SHAPE) as tf.Tensor4D;
    const only = keyedNoise(6).normal(SHAPE) as tf.Tensor4D;
    // An inexact velocity, so that the points depend on the path.
    const teacher: Velocity = (x, timesteps) => tf.tidy(() => velocityTo(only)(x, timesteps).mul(0.9));
    const before = tf.memory().numTensors;
    const { points, end } = ddimTrajectory(scheduler, teacher, noise, 999, 250);
    expect(tf.memory().numTensors).toBe(before);
    const plan = new DDIMScheduler({ ...CONFIG, timestep_spacing: "trailing" }).plan(4);
    expect(points.map(({ timestep }) => timestep)).toEqual([...plan.timesteps]);
    tf.tidy(() => {
      let state = plan.start(noise);
      plan.timesteps.forEach((timestep, i) => {
        const x = state.x as tf.Tensor4D;
        expect(near(x, points[i]!.x)).toBeLessThan(1e-5);
        state = plan.step(state, teacher(x, Array<number>(SHAPE[0]).fill(timestep)), i, keyedNoise(0));
      });
      // At alphaBar of 1e-3 and less, float32 noise is multiplied by 30 and more.
      expect(near(state.x as tf.Tensor4D, end)).toBeLessThan(1e-4);
    });
    tf.dispose([noise, only]);
  });

  it("starts at the timestep that is given", () => {
    const x = keyedNoise(5).normal(SHAPE) as tf.Tensor4D;
    const { points } = ddimTrajectory(scheduler, (x) => x.mul(0.5), x, 259, 40);
    expect(points.map(({ timestep }) => timestep)).toEqual([259, 219, 179, 139, 99, 59, 19]);
    x.dispose();
  });
});

describe("A result computed without gradient", () => {
  it("has the same value and passes no gradient", () => {
    const w = tf.variable(tf.scalar(3));
    const { value, grads } = tf.variableGrads(() => w.mul<tf.Scalar>(withoutGradient(() => w.square())), [w]);
    expect(value.dataSync()[0]).toBe(27);
    expect(grads[w.name]!.dataSync()[0]).toBe(9);
    tf.dispose([w, value, grads]);
  });
});
