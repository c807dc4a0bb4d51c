import { expect, describe, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { gelu, silu } from "../../nn/activations.js";
import { attend } from "../../nn/attention.js";
import { conv2d } from "../../nn/conv2d.js";
import { geglu } from "../../nn/feed-forward.js";
import { hasFusedKernel } from "../../nn/fused-op.js";
import { groupNorm } from "../../nn/group-norm.js";
import { layerNorm } from "../../nn/layer-norm.js";
import { affine } from "../../nn/linear.js";
import { computeOn, uniformValues, type Values } from "./compare.js";
import { affine64, attention64, conv64, geglu64, gelu64, groupNorm64, type Numbers, silu64 } from "./float64.js";

export const upTo = (max: number) => fc.integer({ min: 1, max });

interface Case {
  shapes: number[][];
  /** Falls back on plain operations where the backend has no fused kernel, as the cpu backend has not. */
  run(...inputs: tf.Tensor[]): tf.Tensor;
  /** The same in float64. */
  exact(...inputs: Numbers[]): number[];
}

const withBias = (shapes: number[][], bias: number[], has: boolean) => (has ? [...shapes, bias] : shapes);

const normalisations = (groupsOf: (groups: number) => number) =>
  fc.record({ batch: upTo(9), pixels: upTo(140), groups: upTo(5).map(groupsOf), width: upTo(7), silu: fc.boolean() });

/** Every fused kernel that layers call, on sizes of which few are multiples of 4 or 8. */
const CASES: Record<string, fc.Arbitrary<Case>> = {
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
export function valueAndGradients(run: Case["run"]) {
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
function inputsOf({ shapes, run }: Case, seed: number): Values[] {
  const inputs = shapes.map((shape, i) => {
    const { values } = uniformValues(shape, seed + i);
    return { shape, values: (values as Float32Array).map((value) => 2 * value) };
  });
  const shape = tf.tidy(() => run(...shapes.map((shape) => tf.zeros(shape)))).shape;
  return [...inputs, uniformValues([shape.reduce((product, size) => product * size, 1)], seed + shapes.length)];
}

/** Length of the difference over that of `wanted`; both tiny counts as equal. */
export function relativeError(got: Numbers, wanted: Numbers): number {
  let [difference, length] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    difference += (got[i]! - wanted[i]!) ** 2;
    length += wanted[i]! ** 2;
  }
  if (got.length !== wanted.length || !Number.isFinite(difference)) return Infinity;
  return Math.sqrt(difference) / Math.max(Math.sqrt(length), 1e-3 * Math.sqrt(wanted.length));
}

/** Two float32 computations of sums of up to some hundred terms: 1e-7 to 3e-6 were seen. */
export const ROUNDING = 1e-5;

/** Tests the fused kernels called `names` of the backend `registeredAs`, which is the current one when they run. */
export function testFusedKernels(registeredAs: string, names: readonly string[]): void {
  describe.each(names)(`the fused kernel %s on ${registeredAs}`, (name) => {
    const cases = CASES[name]!;
    it("equals the plain operations on the cpu backend, with its gradients, for odd sizes", async () => {
      await tf.setBackend(registeredAs);
      expect(hasFusedKernel(name)).toBe(true);
      await fc.assert(
        fc.asyncProperty(cases, fc.nat(), async (example, seed) => {
          const inputs = inputsOf(example, seed);
          const compute = valueAndGradients(example.run);
          const got = await computeOn(registeredAs, inputs, compute);
          const wanted = await computeOn("cpu", inputs, compute);
          for (const [i, { shape, values }] of got.entries()) {
            expect(shape).toEqual(wanted[i]!.shape);
            expect(relativeError(values, wanted[i]!.values)).toBeLessThan(ROUNDING);
          }
        }),
        { numRuns: 40, seed: 5 },
      );
    });

    it("has the gradient that finite differences in float64 give", async () => {
      await fc.assert(
        fc.asyncProperty(cases, fc.nat(), async (example, seed) => {
          const inputs = inputsOf(example, seed);
          const [, ...gradients] = await computeOn(registeredAs, inputs, valueAndGradients(example.run));
          const dy = inputs.pop()!.values;
          for (const [moved, gradient] of gradients.entries()) {
            const direction = uniformValues(gradient.shape, seed + 99).values;
            const loss = (step: number) => {
              const at = inputs.map(({ values }, i) =>
                Array.from(values, (value, k) => (i === moved ? value + step * direction[k]! : value)),
              );
              return example.exact(...at).reduce((sum, value, i) => sum + value * dy[i]!, 0);
            };
            // Fourth order: the error is about step^4, and float64's rounding 1e-16 / step.
            const step = 1e-3;
            const slope = (8 * (loss(step) - loss(-step)) - (loss(2 * step) - loss(-2 * step))) / (12 * step);
            const terms = Array.from(gradient.values, (value, k) => value * direction[k]!);
            const got = terms.reduce((sum, term) => sum + term, 0);
            const scale = Math.sqrt(terms.reduce((sum, term) => sum + term * term, 0));
            expect(Math.abs(got - slope)).toBeLessThan(ROUNDING * (scale + Math.abs(slope)) + 1e-6 * terms.length);
          }
        }),
        { numRuns: 25, seed: 6 },
      );
    });
  });
}
