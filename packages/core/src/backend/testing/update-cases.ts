import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { hasFusedKernel } from "../../nn/fused-op.js";
import { adamWUpdate } from "../../training/adamw.js";
import { flatJoin, flatSplit } from "../../training/buckets.js";
import { movingAverages } from "../../training/ema.js";

/** A computation on tensors of some shapes. */
export interface KernelCase {
  shapes: number[][];
  run(...inputs: tf.Tensor[]): tf.Tensor[];
}

const counts = fc.array(fc.integer({ min: 1, max: 33 }), { minLength: 1, maxLength: 4 });
const sum = (counts: number[]) => counts.reduce((sum, count) => sum + count, 0);

const COEFFICIENTS = { keep: 0.99, fresh1: 0.1, keep2: 0.999, fresh2: 0.001, eps: 1e-8, rate: 0.01 };

/** Parameters in the form that an update takes: in place, if the current backend has the kernel for that, or joined. */
const asTaken = (kernel: string, parts: tf.Tensor[]) => (hasFusedKernel(kernel) ? parts : [tf.concat(parts)]);

const adamW = (counts: number[]): KernelCase => ({
  shapes: [[sum(counts)], [sum(counts)], ...counts.map((count) => [count]), ...counts.map((count) => [count])],
  run: (oldM, oldV, ...rest) => {
    const [parts, gradients] = [rest.slice(0, counts.length), rest.slice(counts.length)];
    const [p, g] = [parts, gradients].map((tensors) => asTaken("AdamWInParts", tensors)) as [tf.Tensor[], tf.Tensor[]];
    const moved = adamWUpdate(COEFFICIENTS)({ p, m: oldM, v: oldV.abs(), g });
    return [moved.m, moved.v, tf.concat(moved.p)];
  },
});

/** One entry for each of UPDATE_KERNELS. */
export const UPDATE_CASES: Record<string, fc.Arbitrary<KernelCase>> = {
  AdamW: counts.map(([count]) => adamW([count!])),
  AdamWInParts: counts.map(adamW),
  FlatJoin: counts.map((counts) => ({
    shapes: counts.map((count) => [count]),
    run: (...parts) => [flatJoin(parts)],
  })),
  FlatSplit: counts.map((counts) => {
    const shapes = counts.map((count) => [count]);
    return { shapes: [[sum(counts)]], run: (joined) => flatSplit(joined, shapes, counts) };
  }),
  MovingAverage: counts.map((counts) => ({
    shapes: [[sum(counts)], ...counts.map((count) => [count])],
    run: (average, ...values) =>
      movingAverages({}, 0.1, [{ average: average, values: asTaken("MovingAverage", values) }]),
  })),
};
