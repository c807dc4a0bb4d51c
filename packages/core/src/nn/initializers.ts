import * as tf from "@tensorflow/tfjs";
import type { Initializer } from "./parameter.js";

export const zeros: Initializer = (shape) => tf.zeros(shape);

export const ones: Initializer = (shape) => tf.ones(shape);

export function constant(value: number): Initializer {
  return (shape) => tf.fill(shape, value);
}

/** Uniform on [-bound, bound). */
export function uniform(bound: number): Initializer {
  return (shape, noise) =>
    tf.tidy(() =>
      noise
        .uniform(shape)
        .mul(2 * bound)
        .sub(bound),
    );
}

/** Normal with mean 0. */
export function normal(standardDeviation: number): Initializer {
  return (shape, noise) => tf.tidy(() => noise.normal(shape).mul(standardDeviation));
}

/**
 * PyTorch's initialisation of the weight *and* the bias of a linear or convolution layer, each of whose outputs reads
 * `fanIn` inputs: uniform with bound 1 / sqrt(fanIn) (He et al. 2015 with a = sqrt(5)).
 */
export function torchDefault(fanIn: number): Initializer {
  return uniform(1 / Math.sqrt(fanIn));
}
