import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { DDIMScheduler, keyedNoise, LCMScheduler } from "@tfjs-diffusion/schedulers";
import { consistencyLoss, type Velocity } from "./consistency-loss.js";
import { SCHEDULER_CONFIG } from "./settings.js";
import { withoutGradient } from "./without-gradient.js";

const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
const SHAPE: [number, number, number, number] = [6, 2, 2, 4];
beforeAll(() => useBackend("wasm"));

/** The one right answer where all pictures are `only`: every trajectory ends there. */
const velocityTo =
  (only: tf.Tensor4D): Velocity =>
  (x, timesteps) => {
    const bars = timesteps.map((t) => scheduler.alphaBar[t]!);
    const column = (of: (a: number) => number) => tf.tensor4d(bars.map(of), [bars.length, 1, 1, 1]);
    const [alpha, sigma] = [column(Math.sqrt), column((a) => Math.sqrt(1 - a))];
    return alpha.mul(x.sub(alpha.mul(only)).div(sigma)).sub(sigma.mul(only));
  };

describe("The consistency loss", () => {
  it("vanishes for the student who knows where every trajectory ends, and for no other", () => {
    tf.tidy(() => {
      const only = keyedNoise(0).normal(SHAPE) as tf.Tensor4D;
      const other = only.add<tf.Tensor4D>(1);
      const loss = (student: Velocity) =>
        consistencyLoss({
          scheduler,
          student,
          teacher: velocityTo(only),
          places: 50,
          skip: 2,
          x0: only,
          noise: keyedNoise(1),
        });
      // Float32 noise: x_t / sigma at the lowest level multiplies it by about 30.
      expect(loss(velocityTo(only)).dataSync()[0]).toBeLessThan(1e-4);
      expect(loss((x, t) => velocityTo(other)(x, t).mul(0.5)).dataSync()[0]).toBeGreaterThan(0.05);
    });
  });

  it("pulls the jump from the noisier place only", () => {
    const x0 = keyedNoise(0).normal(SHAPE) as tf.Tensor4D;
    const weight = tf.variable(tf.scalar(0.3));
    let asked = 0;
    const student: Velocity = (x) => {
      asked++;
      return x.mul(weight);
    };
    const options = { scheduler, teacher: velocityTo(x0), places: 10, skip: 1, x0, noise: keyedNoise(2) };
    const { grads } = tf.variableGrads(() => consistencyLoss({ ...options, student }), [weight]);
    expect(asked).toBe(2);
    const still = tf.scalar(0.3);
    const value = (w: number) =>
      tf.tidy(() => {
        let calls = 0;
        // The first call is the target's.
        const moved: Velocity = (x) => x.mul(calls++ === 0 ? still : tf.scalar(w));
        return consistencyLoss({ ...options, student: moved }).dataSync()[0]!;
      });
    const step = 1e-3; // Small, because the loss has a bend where an error is zero.
    const difference = (value(0.3 + step) - value(0.3 - step)) / (2 * step);
    expect(Math.abs(grads[weight.name]!.dataSync()[0]! - difference)).toBeLessThan(2e-3);
    tf.dispose([x0, weight, grads, still]);
  });

  it("jumps as LCMScheduler does, which then draws the end of the trajectory in one step", () => {
    tf.tidy(() => {
      const only = keyedNoise(0).normal(SHAPE) as tf.Tensor4D;
      const plan = new LCMScheduler({ ...SCHEDULER_CONFIG, _class_name: undefined } as object).plan(1);
      const x = plan.start(keyedNoise(3).normal(SHAPE)).x as tf.Tensor4D;
      const v = velocityTo(only)(
        x,
        SHAPE.slice(0, 1).flatMap((n) => Array<number>(n).fill(plan.timesteps[0]!)),
      );
      const end = plan.step({ x, history: [] }, v, 0, keyedNoise(4)).x;
      expect(end.sub(only).abs().max().dataSync()[0]).toBeLessThan(1e-3);
    });
  });

  it("keeps nothing but its result", () => {
    const x0 = keyedNoise(0).normal(SHAPE) as tf.Tensor4D;
    const before = tf.memory().numTensors;
    consistencyLoss({
      scheduler,
      student: (x) => x.mul(0.5),
      teacher: (x) => x.mul(0.4),
      places: 50,
      skip: 2,
      x0,
      noise: keyedNoise(1),
    }).dispose();
    expect(tf.memory().numTensors).toBe(before);
    x0.dispose();
  });
});

describe("What is computed without gradient", () => {
  it("has the same value, and is a constant to what follows", () => {
    const w = tf.variable(tf.scalar(3));
    const { value, grads } = tf.variableGrads(() => w.mul<tf.Scalar>(withoutGradient(() => w.square())), [w]);
    expect(value.dataSync()[0]).toBe(27);
    expect(grads[w.name]!.dataSync()[0]).toBe(9);
    tf.dispose([w, value, grads]);
  });
});
