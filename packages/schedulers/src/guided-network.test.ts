import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { mixtureDenoiser } from "./analysis/mixture.js";
import { classifierGuided, guidedNetwork } from "./guided-network.js";
import { DDIMScheduler } from "./methods/ddim.js";
import { keyedNoise } from "./noise/keyed-noise.js";
import type { Network } from "./run-plan.js";

beforeAll(() => tf.setBackend("cpu"));

const CENTRES = [
  [0.6, -0.3],
  [-0.5, 0.4],
];
const DEVIATION = 0.3;
const samples = () => keyedNoise(0).normal([32, 2]) as tf.Tensor2D;

/** The best network for some of the bells. */
const networkFor =
  (scheduler: DDIMScheduler, means: number[][]): Network<tf.Tensor2D> =>
  (shown, [t]) =>
    tf.tidy(() => {
      const { input, target } = scheduler.training.at(t!);
      const x0 = mixtureDenoiser({ means, deviation: DEVIATION }, shown, { alpha: input.ofX0, sigma: input.ofNoise });
      return x0.mul(target.ofX0).add(shown.sub(x0.mul(input.ofX0)).div(input.ofNoise).mul(target.ofNoise));
    });

describe("classifierGuided", () => {
  it.each(["epsilon", "v_prediction", "sample"] as const)(
    "makes, with the exact classifier and scale 1, the network of one class of that of all: %s",
    (prediction_type) => {
      const scheduler = new DDIMScheduler({ prediction_type });
      const level = (t: number) => scheduler.training.at(t);
      /** ln p(first bell | x): the bells differ by their distance from x, at this level. */
      const logProbability = (x: tf.Tensor2D, [t]: number[]) => {
        const { ofX0, ofNoise } = level(t!).input;
        const variance = (ofX0 * DEVIATION) ** 2 + ofNoise ** 2;
        const distances = x.expandDims(1).sub(tf.tensor2d(CENTRES).mul(ofX0)).square().sum(2);
        return distances
          .div(-2 * variance)
          .logSoftmax()
          .gather([0], 1)
          .squeeze([1]);
      };
      const network = networkFor(scheduler, CENTRES);
      const guided = classifierGuided({ network, logProbability, level, scale: 1 });
      tf.tidy(() => {
        const x = samples();
        for (const t of [50, 400, 800]) {
          const told = Array<number>(32).fill(t);
          const apart = guided(x, told).sub(networkFor(scheduler, [CENTRES[0]!])(x, told));
          // Float32: x0 = (x - noise) / alpha at the noisiest of these levels.
          expect(apart.abs().max().dataSync()[0]).toBeLessThan(1e-4);
        }
      });
    },
  );

  it("does nothing with scale 0, and frees what it makes", () => {
    const scheduler = new DDIMScheduler();
    const network = networkFor(scheduler, CENTRES);
    const level = (t: number) => scheduler.training.at(t);
    const logProbability = (x: tf.Tensor2D) => x.sum(1);
    const [x, told] = [samples(), Array<number>(32).fill(100)];
    const before = tf.memory().numTensors;
    const guided = classifierGuided({ network, logProbability, level, scale: 0 })(x, told);
    const plain = network(x, told);
    expect([...guided.dataSync()]).toEqual([...plain.dataSync()]);
    tf.dispose([guided, plain]);
    expect(tf.memory().numTensors).toBe(before);
    x.dispose();
  });
});

describe("guidedNetwork", () => {
  const network: Network<tf.Tensor2D> = (x) => x.mul(2);
  const awayFrom: Network<tf.Tensor2D> = (x) => x.mul(1);

  it("leads away from the other network inside the interval, and calls only its own outside", () => {
    let calls = 0;
    const counting: Network<tf.Tensor2D> = (x, told) => (calls++, awayFrom(x, told));
    const guided = guidedNetwork({ network, awayFrom: counting, scale: 3, interval: [100, 800] });
    tf.tidy(() => {
      const x = tf.ones<tf.Rank.R2>([4, 2]);
      const at = (t: number) => guided(x, [t, t, t, t]).dataSync()[0];
      // 1 + 3 (2 - 1)
      expect([at(99), at(100), at(800), at(801)]).toEqual([2, 4, 4, 2]);
      expect(calls).toBe(2);
      expect(guidedNetwork({ network, awayFrom: counting, scale: 1 })(x, [500]).dataSync()[0]).toBe(2);
      expect(calls).toBe(2);
    });
  });

  it("refuses an interval that is empty", () => {
    expect(() => guidedNetwork({ network, awayFrom, scale: 2, interval: [5, 1] })).toThrow(
      "[5, 1]; give the lower end",
    );
  });
});
