import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../testing/backend.js";
import { relativeRms } from "../testing/fixture.js";
import { GroupNorm } from "./group-norm.js";
import { LayerNorm } from "./layer-norm.js";

// Two float32 sums of a few hundred terms in different orders; measured 2e-7 to 9e-7.
const ROUNDING = 3e-6;

const noise = keyedNoise(11);
const draw = (name: string, shape: number[], scale = 1, shift = 0) =>
  tf.tidy(() => noise.at(name).normal(shape).mul(scale).add(shift));

interface Normalisation {
  forward(x: tf.Tensor): tf.Tensor;
}

/** Value and gradients of `f` at x, w, b, weighted by a random output gradient. */
function valueAndGradients(
  f: (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  inputs: tf.Tensor[],
): tf.Tensor[] {
  const value = f(...(inputs as [tf.Tensor, tf.Tensor, tf.Tensor]));
  const dy = draw("dy", value.shape);
  const gradients = tf.grads((...xs) =>
    f(...(xs as [tf.Tensor, tf.Tensor, tf.Tensor]))
      .mul(dy)
      .sum(),
  )(inputs);
  return [value, ...gradients];
}

/** The layer as a function of its input and its two parameters. */
function asFunction(layer: Normalisation & Pick<GroupNorm, "weight" | "bias">) {
  return (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => {
    const stand = (value: tf.Tensor) => ({ value: value as tf.Variable });
    return Object.assign(Object.create(layer) as typeof layer, { weight: stand(w), bias: stand(b) }).forward(x);
  };
}

/** The definition, with TensorFlow.js's automatic gradient. */
function normaliseOver(grouped: number[], axes: number[], eps: number) {
  return (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => {
    const groups = x.reshape(grouped);
    const { mean, variance } = tf.moments(groups, axes, true);
    return groups.sub(mean).div(variance.add(eps).sqrt()).reshape(x.shape).mul(w).add(b);
  };
}

describe("normalisation", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it.each([
    [2, [2, 3, 5, 8]],
    [8, [3, 4, 4, 8]],
    [1, [1, 1, 1, 6]],
    [4, [2, 7, 12]],
  ])("in %i groups of [%s] equals its definition, and so does its gradient", (groups, shape) => {
    const [batch, channels] = [shape[0]!, shape.at(-1)!];
    const inputs = [draw("x", shape, 2, 3), draw("w", [channels]), draw("b", [channels])];
    const got = valueAndGradients(asFunction(new GroupNorm(groups, channels, 1e-4)), inputs);
    const grouped = [batch, -1, groups, channels / groups];
    const wanted = valueAndGradients(normaliseOver(grouped, [1, 3], 1e-4), inputs);
    for (const [i, tensor] of got.entries()) expect(relativeRms(tensor, wanted[i]!)).toBeLessThan(ROUNDING);
  });

  it("of each token equals its definition, and so does its gradient", () => {
    const inputs = [draw("x", [3, 4, 10], 2, 3), draw("w", [10]), draw("b", [10])];
    const got = valueAndGradients(asFunction(new LayerNorm(10, 1e-4)), inputs);
    const wanted = valueAndGradients(normaliseOver([3, 4, 10], [2], 1e-4), inputs);
    for (const [i, tensor] of got.entries()) expect(relativeRms(tensor, wanted[i]!)).toBeLessThan(ROUNDING);
  });

  it("keeps its precision if the mean is much larger than the deviation", () => {
    const layer = new GroupNorm(2, 4);
    layer.weight.assign(tf.ones([4]));
    layer.bias.assign(tf.zeros([4]));
    const pattern = tf.tensor4d([1, -1, 1, -1, -1, 1, -1, 1], [1, 2, 1, 4]);
    const got = layer.forward(pattern.add(1000));
    // x is exact in float32, so only the mean's rounding remains: 1000 * 2^-24 = 6e-5, unless the variance is computed
    // as E[x^2] - E[x]^2.
    expect(relativeRms(got, pattern)).toBeLessThan(1e-4);
    layer.weight.dispose();
    layer.bias.dispose();
  });

  it("refuses groups that do not divide the channels, and says which", () => {
    expect(() => new GroupNorm(3, 8)).toThrow("8 channels cannot be split into 3 groups");
  });
});
