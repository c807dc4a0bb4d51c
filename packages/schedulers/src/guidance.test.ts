import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { guide, rescaleGuidance } from "./guidance.js";
import { keyedNoise } from "./noise/keyed-noise.js";

beforeAll(() => tf.setBackend("cpu"));

const numbers = (draw: () => tf.Tensor) => tf.tidy(() => [...draw().dataSync()]);

describe("guide", () => {
  const [unconditional, conditional] = [
    [1, -2, 0.5],
    [3, -1, 0.5],
  ];
  const guided = (scale: number) => numbers(() => guide(tf.tensor(unconditional), tf.tensor(conditional), scale));

  it("moves by scale times the difference from the unconditional to the conditional output", () => {
    expect(guided(7.5)).toEqual([16, 5.5, 0.5]); // u + 7.5 (c - u)
  });

  it("is the conditional output at scale 1, the unconditional one at 0, and moves away from the condition below 0", () => {
    expect(guided(1)).toEqual(conditional);
    expect(guided(0)).toEqual(unconditional);
    expect(guided(-1)).toEqual([-1, -3, 0.5]);
  });

  it("leaves one new tensor: its result", () => {
    const [u, c] = [tf.tensor([1]), tf.tensor([2])];
    const before = tf.memory().numTensors;
    guide(u, c, 1).dispose();
    expect(numbers(() => c.clone())).toEqual([2]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("rescaleGuidance", () => {
  const outputs = () => {
    const noise = keyedNoise(4);
    return [noise.normal([3, 4, 4, 2]).mul(5), noise.normal([3, 4, 4, 2])] as [tf.Tensor, tf.Tensor];
  };
  /** torch.std of each sample: the root of the sum of squares over n - 1. */
  const deviations = (x: tf.Tensor) =>
    (x.reshape([3, -1]).arraySync() as number[][]).map((row) => {
      const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
      return Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (row.length - 1));
    });

  it("gives every sample the conditional output's standard deviation at 1, and changes nothing at 0", () => {
    tf.tidy(() => {
      const [guided, conditional] = outputs();
      const [got, want] = [rescaleGuidance(guided, conditional, 1), conditional].map(deviations);
      got!.forEach((value, b) => expect(Math.abs(value / want![b]! - 1)).toBeLessThan(1e-6));
      expect([...rescaleGuidance(guided, conditional, 0).dataSync()]).toEqual([...guided.dataSync()]);
    });
  });

  it("mixes the rescaled and the guided output in between (Lin et al. 2024, eq. 16)", () => {
    tf.tidy(() => {
      const [guided, conditional] = outputs();
      const whole = rescaleGuidance(guided, conditional, 1);
      const want = whole.mul(0.7).add(guided.mul(0.3));
      const difference = rescaleGuidance(guided, conditional, 0.7).sub(want).abs().max().dataSync()[0]!;
      expect(difference).toBeLessThan(2e-6); // Two roundings of numbers up to 10.
    });
  });

  it("frees everything but its result", () => {
    const [guided, conditional] = outputs();
    const before = tf.memory().numTensors;
    rescaleGuidance(guided, conditional, 0.7).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
