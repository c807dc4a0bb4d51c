import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  CMStochasticIterativeScheduler,
  type Denoise,
  DDIMScheduler,
  FlowMatchEulerDiscreteScheduler,
  karrasSigmas,
  keyedNoise,
  mixtureDenoiser,
  type Network,
  runPlan,
} from "@tfjs-diffusion/schedulers";
import { consistencyFunction, consistencyLoss } from "./consistency.js";
import { progressiveDistillationLoss } from "./progressive-distillation.js";
import { bellsSample } from "./testing/exact-network.js";

/** What a mean squared error asks an output for, read from its gradient where the output is 0; and what was shown. */
function asked(loss: (student: Network<tf.Tensor2D>) => tf.Scalar, shape: [number, number]) {
  let [shown, told]: [tf.Tensor2D | undefined, number[]] = [undefined, []];
  const gradient = tf.grad((output) =>
    loss((x, timesteps) => {
      [shown, told] = [tf.keep(x.clone()), timesteps];
      return output;
    }),
  );
  const target = tf.tidy(() => gradient(tf.zeros(shape)).mul<tf.Tensor2D>((shape[0] * shape[1]) / -2));
  return { shown: shown!, told, target };
}

describe("Progressive distillation", () => {
  const config = {
    num_train_timesteps: 64,
    timestep_spacing: "trailing",
    beta_schedule: "squaredcos_cap_v2",
    clip_sample: false,
  } as const;

  it.each(["v_prediction", "epsilon", "sample"] as const)(
    "asks for the output with which one step of DDIM leads where two of the teacher lead: %s",
    (prediction_type) => {
      const scheduler = new DDIMScheduler({ ...config, prediction_type });
      // Not the same at all levels, so that the two steps bend.
      const teacher: Network<tf.Tensor2D> = (x, told) => {
        const scale = tf.tensor2d(
          told.map((t) => Math.cos(t)),
          [told.length, 1],
        );
        return x.mul(scale).add(0.1);
      };
      const x0 = bellsSample(32, keyedNoise(1));
      const { shown, told, target } = asked(
        (student) => progressiveDistillationLoss({ scheduler, teacher, student, x0, noise: keyedNoise(2), steps: 2 }),
        [32, 2],
      );
      expect(new Set(told)).toEqual(new Set([63, 31]));
      const [of2, of4] = [scheduler.plan(2), scheduler.plan(4)];
      tf.tidy(() => {
        for (const [i, t] of of2.timesteps.entries()) {
          let state = of4.resume(shown, 2 * i);
          for (const k of [2 * i, 2 * i + 1]) {
            const output = teacher(state.x as tf.Tensor2D, Array<number>(32).fill(of4.timesteps[k]!));
            state = of4.step(state, output, k, keyedNoise(0));
          }
          const inOne = of2.step(of2.resume(shown, i), target, i, keyedNoise(0)).x;
          const apart = inOne.sub(state.x).abs().max(1).dataSync();
          const own = [...apart].filter((_, row) => told[row] === t);
          expect(own.length).toBeGreaterThan(5);
          // Float32: measured 2e-4 where x0 from epsilon is divided by the alpha of the noisiest level; times 3.
          expect(Math.max(...own)).toBeLessThan(6e-4);
        }
      });
      tf.dispose([x0, shown, target]);
    },
  );

  it("refuses steps that do not halve, and a scheduler without whole timesteps; leaves its result alone", () => {
    const scheduler = new DDIMScheduler({ ...config, prediction_type: "v_prediction" });
    const x0 = bellsSample(8, keyedNoise(1));
    const teacher: Network<tf.Tensor2D> = (x) => x.mul(0.5);
    const shared = { scheduler, teacher, student: teacher, x0, noise: keyedNoise(2), steps: 4 };
    const before = tf.memory().numTensors;
    progressiveDistillationLoss(shared).dispose();
    expect(() => progressiveDistillationLoss({ ...shared, steps: 3 })).toThrow(
      "3 steps of the student, 6 of the teacher",
    );
    const flow = new FlowMatchEulerDiscreteScheduler();
    expect(() => progressiveDistillationLoss({ ...shared, scheduler: flow })).toThrow("Use DDIMScheduler");
    expect(tf.memory().numTensors).toBe(before);
    x0.dispose();
  });
});

/** One bell, whose trajectories are known: x - mean keeps its ratio to the deviation of x. */
const BELL = { means: [[0.3, -0.2]], deviation: 0.5 };
const LEAST = 0.01;
const denoise: Denoise<tf.Tensor2D> = (x, sigmas) =>
  tf.tidy(() => {
    const variance = tf.tensor2d(
      sigmas.map((sigma) => sigma ** 2),
      [sigmas.length, 1],
    );
    const mean = tf.tensor2d(BELL.means);
    return x.mul(0.25).add(mean.mul(variance)).div(variance.add(0.25));
  });
/** Where trajectories end if `power` is 1. */
const jump =
  (power: number | tf.Tensor): Denoise<tf.Tensor2D> =>
  (x, sigmas) =>
    tf.tidy(() => {
      const ratio = tf.tensor2d(
        sigmas.map((sigma) => Math.hypot(0.5, LEAST) / Math.hypot(0.5, sigma)),
        [sigmas.length, 1],
      );
      const mean = tf.tensor2d(BELL.means);
      return x.sub(mean).mul(ratio.pow(power)).add(mean);
    });
const bellSample = (n: number) =>
  tf.tidy(() => keyedNoise(3).normal([n, 2]).mul(0.5).add<tf.Tensor2D>(tf.tensor2d(BELL.means)));

describe("consistencyFunction", () => {
  const network: Network<tf.Tensor2D> = (x, told) =>
    tf.tidy(() =>
      x
        .mul(2)
        .add(tf.tensor2d(told, [told.length, 1]).div(1000))
        .tanh(),
    );

  it("is the identity at the least noise level, whatever the network", () => {
    tf.tidy(() => {
      const x = bellSample(8);
      const f = consistencyFunction(network, { sigmaMin: LEAST });
      expect([...f(x, Array<number>(8).fill(LEAST)).dataSync()]).toEqual([...x.dataSync()]);
    });
  });

  it("is what CMStochasticIterativeScheduler makes of the network inside, in one step", () => {
    const scheduler = new CMStochasticIterativeScheduler({ clip_denoised: false });
    tf.tidy(() => {
      const start = keyedNoise(4).normal([8, 2]) as tf.Tensor2D;
      const drawn = runPlan(scheduler.plan(1), network, start, keyedNoise(0));
      const sigma = scheduler.plan(1).levels[0]!.sigma;
      const jumped = consistencyFunction(network)(start.mul<tf.Tensor2D>(80), Array<number>(8).fill(sigma));
      // Numbers near 80 * 0.006 = 0.5 in float32.
      expect(drawn.sub(jumped).abs().max().dataSync()[0]).toBeLessThan(1e-5);
    });
  });
});

describe("Consistency distillation", () => {
  const lossOf = (student: Denoise<tf.Tensor2D>, n: number) => {
    const x0 = bellSample(256);
    const sigmas = karrasSigmas(n, 20, LEAST).reverse();
    const loss = consistencyLoss({ student, teacher: denoise, x0, noise: keyedNoise(5), sigmas, huber: 1e-9 });
    const value = loss.dataSync()[0]!;
    tf.dispose([x0, loss]);
    return value;
  };

  it("is 0 for the function that knows where trajectories end, up to the teacher's steps", () => {
    // Neighbours are one step of Heun's method apart. Its error falls by 8 for half the step: by 4, divided by it.
    expect(lossOf(jump(1), 80)).toBeLessThan(0.01 * lossOf(jump(0.8), 80));
    expect(lossOf(jump(1), 80)).toBeLessThan(lossOf(jump(1), 40) / 3);
  });
});

describe("Consistency training", () => {
  it("has, without a teacher, its least loss near where trajectories end", () => {
    const x0 = bellSample(4096);
    const sigmas = karrasSigmas(40, 20, LEAST).reverse();
    // For squared errors, to which a large `huber` leads, its gradient is distillation's (Song et al., theorem 2).
    const slope = (power: number) => {
      const gradient = tf.grad((p) =>
        consistencyLoss({ student: jump(p), x0, noise: keyedNoise(6), sigmas, huber: 10 }),
      );
      return tf.tidy(() => gradient(tf.scalar(power)).dataSync()[0]!);
    };
    const [below, at, above] = [slope(0.7), slope(1), slope(1.3)];
    expect(below).toBeLessThan(0);
    expect(above).toBeGreaterThan(0);
    expect(Math.abs(at)).toBeLessThan(0.25 * Math.min(-below, above));
    x0.dispose();
  });

  it("takes its target as a constant, refuses levels that do not rise, and leaves its result alone", () => {
    const x0 = bellSample(16);
    const gain = tf.variable(tf.scalar(0.9));
    const shared = { x0, noise: keyedNoise(7), sigmas: [0.01, 0.1, 1] };
    const before = tf.memory().numTensors;
    const gradientOf = (target?: Denoise<tf.Tensor2D>) => {
      const { value, grads } = tf.variableGrads(
        () => consistencyLoss({ ...shared, student: jump(gain), target }),
        [gain],
      );
      const gradient = grads[gain.name]!.dataSync()[0]!;
      tf.dispose([value, grads]);
      return gradient;
    };
    expect(gradientOf()).toBe(gradientOf(jump(tf.tidy(() => gain.dataSync()[0]!))));
    expect(() => consistencyLoss({ ...shared, student: jump(1), sigmas: [1, 0.1] })).toThrow("sigmas are [1, 0.1]");
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x0, gain]);
  });
});

it("The exact denoiser of the test is the mixture's", () => {
  tf.tidy(() => {
    const x = bellSample(4);
    const expected = mixtureDenoiser(BELL, x, { alpha: 1, sigma: 0.7 });
    expect(denoise(x, [0.7, 0.7, 0.7, 0.7]).sub(expected).abs().max().dataSync()[0]).toBeLessThan(1e-6);
  });
});
