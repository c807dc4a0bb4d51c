import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { silu, gelu } from "../../nn/activations.js";
import { attend } from "../../nn/attention.js";
import { conv2d } from "../../nn/conv2d.js";
import { geglu } from "../../nn/feed-forward.js";
import { hasFusedKernel } from "../../nn/fused-op.js";
import { groupNorm } from "../../nn/group-norm.js";
import { layerNorm } from "../../nn/layer-norm.js";
import { affine } from "../../nn/linear.js";
import { adamWUpdate } from "../../training/adamw.js";
import { flatJoin, flatSplit } from "../../training/buckets.js";
import { movingAverage } from "../../training/ema.js";
import { computeOn, uniformValues, type Values } from "../testing/compare.js";
import {
  affine64,
  attention64,
  conv64,
  geglu64,
  gelu64,
  groupNorm64,
  type Numbers,
  silu64,
} from "../testing/float64.js";
import { useBackend } from "../use-backend.js";

const upTo = (max: number) => fc.integer({ min: 1, max });

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

/** Every fused kernel, on sizes of which few are multiples of 4 or 8. */
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
    shapes: withBias([[batch, rows, from], [from, to]], [to], bias), // prettier-ignore
    run: (x, w, b) => affine(x, w, b),
    exact: (x, w, b) => affine64([x, w, b ?? new Array<number>(to).fill(0)], batch * rows),
  })),
  Attention: fc.tuple(upTo(9), upTo(3), upTo(40), upTo(40), upTo(11)).map(([batch, heads, queries, keys, size]) => ({
    shapes: [[batch, queries, heads * size], [batch, keys, heads * size], [batch, keys, heads * size]], // prettier-ignore
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
      shapes: withBias([[batch, height, width, from], [kernel, kernel, from, to]], [to], bias), // prettier-ignore
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
function valueAndGradients(run: Case["run"]) {
  return (...inputs: tf.Tensor[]): tf.Tensor[] => {
    const dy = inputs.pop()!;
    const value = run(...inputs);
    return [value, ...tf.grads((...xs) => run(...xs).mul(dy.reshape(value.shape)).sum())(inputs)]; // prettier-ignore
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
function relativeError(got: Numbers, wanted: Numbers): number {
  let [difference, length] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    difference += (got[i]! - wanted[i]!) ** 2;
    length += wanted[i]! ** 2;
  }
  if (got.length !== wanted.length || !Number.isFinite(difference)) return Infinity;
  return Math.sqrt(difference) / Math.max(Math.sqrt(length), 1e-3 * Math.sqrt(wanted.length));
}

/** Two float32 computations of sums of up to some hundred terms: 1e-7 to 3e-6 were seen. */
const ROUNDING = 1e-5;

beforeAll(async () => {
  await useBackend("wasm", { threads: 1 });
});

describe.each(Object.entries(CASES))("the fused kernel %s on wasm", (name, cases) => {
  it("equals the plain operations on the cpu backend, with its gradients, for odd sizes", async () => {
    await tf.setBackend("wasm");
    expect(hasFusedKernel(name)).toBe(true);
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(), async (example, seed) => {
        const inputs = inputsOf(example, seed);
        const compute = valueAndGradients(example.run);
        const got = await computeOn("wasm", inputs, compute);
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
        const [, ...gradients] = await computeOn("wasm", inputs, valueAndGradients(example.run));
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

describe("attention on wasm", () => {
  it("takes several blocks of queries, and keys that differ by more than exp can hold", async () => {
    const inputs = [[1, 270, 6], [1, 301, 6], [1, 301, 6]].map((shape, i) => uniformValues(shape, i)); // prettier-ignore
    inputs[1]!.values.fill(300, 600, 606);
    const compute = valueAndGradients((q, k, v) => attend(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, 2));
    inputs.push(uniformValues([270 * 6], 9));
    const [got, wanted] = [await computeOn("wasm", inputs, compute), await computeOn("cpu", inputs, compute)];
    // A score of 500 has 3e-5 of rounding, and so has its share.
    for (const [i, { values }] of got.entries())
      expect(relativeError(values, wanted[i]!.values)).toBeLessThan(20 * ROUNDING);
  });
});

describe("the fused updates on wasm", () => {
  it("equal the plain ones on the cpu backend", async () => {
    const coefficients = { keep: 0.99, fresh1: 0.1, keep2: 0.999, fresh2: 0.001, eps: 1e-8, rate: 0.01 };
    await fc.assert(
      fc.asyncProperty(upTo(33), fc.nat(), async (count, seed) => {
        const inputs = [0, 1, 2, 3].map((i) => uniformValues([count], seed + i));
        inputs[2]!.values = inputs[2]!.values.map(Math.abs);
        const compute = (...[p, m, v, g]: tf.Tensor[]) => [
          ...Object.values(adamWUpdate(coefficients)({ p: p!, m: m!, v: v!, g: g! })),
          movingAverage(0.01)(p!, g!),
        ];
        const [got, wanted] = [await computeOn("wasm", inputs, compute), await computeOn("cpu", inputs, compute)];
        for (const [i, { values }] of got.entries()) {
          // The same operations in the same order; the cpu backend keeps some of them in float64.
          expect(relativeError(values, wanted[i]!.values)).toBeLessThan(1e-6);
        }
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  it("join tensors of any shapes to one vector bit for bit as the cpu backend does, and split it again", async () => {
    const shapesOf = fc.array(fc.array(upTo(5), { maxLength: 4 }), { minLength: 1, maxLength: 7 });
    await fc.assert(
      fc.asyncProperty(shapesOf, fc.nat(), async (shapes, seed) => {
        const inputs = shapes.map((shape, i) => uniformValues(shape, seed + i));
        const sizes = shapes.map((shape) => tf.util.sizeFromShape(shape));
        const compute = (...parts: tf.Tensor[]) => {
          const joined = flatJoin(parts);
          return [joined, ...flatSplit(joined, shapes, sizes)];
        };
        await tf.setBackend("wasm");
        expect([hasFusedKernel("FlatJoin"), hasFusedKernel("FlatSplit")]).toEqual([true, true]);
        const [joined, ...parts] = await computeOn("wasm", inputs, compute);
        expect(parts).toEqual(inputs);
        expect([joined, ...parts]).toEqual(await computeOn("cpu", inputs, compute));
      }),
      { numRuns: 40, seed: 8 },
    );
  });
});
