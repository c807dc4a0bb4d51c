import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { gelu, silu } from "../../nn/activations.js";
import { attend } from "../../nn/attention.js";
import { conv2d } from "../../nn/conv2d.js";
import { geglu } from "../../nn/feed-forward.js";
import { groupNorm } from "../../nn/group-norm.js";
import { layerNorm } from "../../nn/layer-norm.js";
import { affine } from "../../nn/linear.js";
import { uniformValues, type Values } from "./compare.js";
import { affine64, attention64, conv64, geglu64, gelu64, groupNorm64, type Numbers, silu64 } from "./float64.js";

export const upTo = (max: number) => fc.integer({ min: 1, max });

/** A layer's function of tensors, and the same function in float64. */
export interface LayerCase {
  shapes: number[][];
  /** Falls back to plain operations if the backend, such as cpu, has no fused kernel. */
  run(...inputs: tf.Tensor[]): tf.Tensor;
  /** The same in float64. */
  exact(...inputs: Numbers[]): number[];
}

const withBias = (shapes: number[][], bias: number[], has: boolean) => (has ? [...shapes, bias] : shapes);

const normalisations = (groupsOf: (groups: number) => number) =>
  fc.record({ batch: upTo(9), pixels: upTo(140), groups: upTo(5).map(groupsOf), width: upTo(7), silu: fc.boolean() });

/** One entry for each of LAYER_KERNELS; few of the sizes are multiples of 4 or 8. */
export const LAYER_CASES: Record<string, fc.Arbitrary<LayerCase>> = {
  Silu: fc.tuple(upTo(9), upTo(9)).map((shape) => ({ shapes: [shape], run: silu, exact: silu64 })),
  Gelu: fc.tuple(upTo(9), upTo(9)).map((shape) => ({ shapes: [shape], run: gelu, exact: gelu64 })),
  Geglu: fc.tuple(upTo(9), upTo(9)).map(([rows, features]) => ({
    shapes: [[rows, 2 * features]],
    run: geglu,
    exact: (x) => geglu64(x, features),
  })),
  GroupNorm: normalisations((groups) => groups).map(({ batch, pixels, groups, width, silu }) => ({
    shapes: [[batch, pixels, groups * width], [groups * width], [groups * width]],
    run: (x, w, b) => groupNorm(x, w, b, groups, 1e-2, silu),
    exact: (x, w, b) => {
      const y = groupNorm64([x, w, b], { batch, pixels, channels: groups * width, groups, eps: 1e-2 });
      return silu ? silu64(y) : y;
    },
  })),
  LayerNorm: normalisations(() => 1).map(({ batch, pixels, width }) => ({
    shapes: [[batch, pixels, 3 * width], [3 * width], [3 * width]],
    run: (x, w, b) => layerNorm(x, w, b, 1e-2),
    exact: (x, w, b) =>
      groupNorm64([x, w, b], { batch: batch * pixels, pixels: 1, channels: 3 * width, groups: 1, eps: 1e-2 }),
  })),
  Affine: fc.tuple(upTo(9), upTo(20), upTo(20), upTo(20), fc.boolean()).map(([batch, rows, from, to, bias]) => ({
    shapes: withBias(
      [
        [batch, rows, from],
        [from, to],
      ],
      [to],
      bias,
    ),
    run: (x, w, b) => affine(x, w, b),
    exact: (x, w, b) => affine64([x, w, b ?? new Array<number>(to).fill(0)], batch * rows),
  })),
  Attention: fc.tuple(upTo(9), upTo(3), upTo(40), upTo(40), upTo(11)).map(([batch, heads, queries, keys, size]) => ({
    shapes: [
      [batch, queries, heads * size],
      [batch, keys, heads * size],
      [batch, keys, heads * size],
    ],
    run: (q, k, v) => attend(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, heads),
    exact: (q, k, v) => attention64([q, k, v], { batch, queries, keys, heads, size }),
  })),
  Conv2D: fc
    .record({
      batch: upTo(9),
      height: upTo(9),
      width: upTo(9),
      from: upTo(9),
      to: upTo(13),
      kernel: fc.constantFrom(1, 2, 3, 5),
      stride: upTo(3),
      padding: fc.tuple(fc.nat(2), fc.nat(2)),
      bias: fc.boolean(),
    })
    .filter(({ height, width, kernel, padding: [a, b] }) => Math.min(height, width) + a + b >= kernel)
    .map(({ batch, height, width, from, to, kernel, stride, padding, bias }) => ({
      shapes: withBias(
        [
          [batch, height, width, from],
          [kernel, kernel, from, to],
        ],
        [to],
        bias,
      ),
      run: (x, filter, b) => conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, b, stride, padding),
      exact: (x, filter, b) => {
        const [before, after] = padding;
        const resized = (size: number) => Math.floor((size + before + after - kernel) / stride) + 1;
        const out = { outHeight: resized(height), outWidth: resized(width) };
        const size = { batch, height, width, kernel, stride, before, ...out };
        return conv64([x, filter, b ?? new Array<number>(to).fill(0)], size);
      },
    })),
};

/** Value and gradients, weighted by the last input. */
export function valueAndGradients(run: LayerCase["run"]) {
  return (...inputs: tf.Tensor[]): tf.Tensor[] => {
    const dy = inputs.pop()!;
    const value = run(...inputs);
    return [
      value,
      ...tf.grads((...xs) =>
        run(...xs)
          .mul(dy.reshape(value.shape))
          .sum(),
      )(inputs),
    ];
  };
}

/** Inputs of a case in [-2, 2), and a gradient of its value. */
export function layerInputs({ shapes, run }: LayerCase, seed: number): Values[] {
  const inputs = shapes.map((shape, i) => {
    const { values } = uniformValues(shape, seed + i);
    return { shape, values: (values as Float32Array).map((value) => 2 * value) };
  });
  const shape = tf.tidy(() => run(...shapes.map((shape) => tf.zeros(shape)))).shape;
  return [...inputs, uniformValues([shape.reduce((product, size) => product * size, 1)], seed + shapes.length)];
}
