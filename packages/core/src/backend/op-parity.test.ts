import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { computeOn, largestDifference, uniformValues, type Values } from "./testing/compare.js";
import { useBackend } from "./use-backend.js";

/** Every op that a network, a sampler or the training calls, with the shapes it takes. */
interface Case {
  name: string;
  shapes: fc.Arbitrary<number[][]>;
  run: (...tensors: tf.Tensor[]) => tf.Tensor;
  /** False where TensorFlow.js has no gradient or it is not used. */
  gradient?: false;
  /** Moves the inputs from [-1, 1) to where the op is defined and smooth. */
  offset?: number;
}

const size = fc.integer({ min: 1, max: 9 });
const shape = (rank: number) => fc.array(size, { minLength: rank, maxLength: rank });
const one = (rank: number) => shape(rank).map((s) => [s]);
const anyRank = fc.integer({ min: 1, max: 4 }).chain(one);
const same = (count: number) =>
  fc
    .integer({ min: 1, max: 4 })
    .chain(shape)
    .map((s) => Array.from({ length: count }, () => s));
/** Two shapes that broadcast: any axis of either may be 1, the second may lack leading axes. */
const broadcast = fc
  .tuple(fc.array(fc.tuple(size, fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 4 }), fc.nat(3))
  .map(([axes, dropped]) => [
    axes.map(([n, , narrow]) => (narrow ? 1 : n)),
    axes.map(([n, narrow]) => (narrow ? 1 : n)).slice(Math.min(dropped, axes.length - 1)),
  ]);
const conv = fc.tuple(size, size, size, size, fc.constantFrom(1, 3)).map(([b, hw, cin, cout, k]) => [
  [b, hw + 2, hw + 3, cin],
  [k, k, cin, cout],
]);
const picture = one(4);

const elementwise: [string, (x: tf.Tensor) => tf.Tensor, offset?: number][] = [
  ["abs", tf.abs, 2],
  ["cos", tf.cos],
  ["elu", tf.elu, 2],
  ["erf", tf.erf],
  ["exp", tf.exp],
  ["log", tf.log, 2],
  ["neg", tf.neg],
  ["reciprocal", tf.reciprocal, 2],
  ["relu", tf.relu, 2],
  ["rsqrt", tf.rsqrt, 2],
  ["sigmoid", tf.sigmoid],
  ["sin", tf.sin],
  ["softplus", tf.softplus],
  ["sqrt", tf.sqrt, 2],
  ["square", tf.square],
  ["tanh", tf.tanh],
  ["clipByValue", (x) => tf.clipByValue(x, -0.5, 0.5)],
  ["leakyRelu", tf.leakyRelu, 2],
];

const binary: [string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, offset?: number][] = [
  ["add", tf.add],
  ["sub", tf.sub],
  ["mul", tf.mul],
  ["div", tf.div, 2],
  ["pow", tf.pow, 2],
];

const cases: Case[] = [
  ...elementwise.map(([name, run, offset]) => ({ name, shapes: anyRank, run, offset })),
  ...binary.map(([name, run, offset]) => ({ name, shapes: broadcast, run: run, offset })),
  // TensorFlow.js's gradients of these three do not sum over broadcast axes.
  { name: "maximum", shapes: same(2), run: (a, b) => tf.maximum(a, b) },
  { name: "minimum", shapes: same(2), run: (a, b) => tf.minimum(a, b) },
  { name: "squaredDifference", shapes: same(2), run: (a, b) => tf.squaredDifference(a, b) },
  { name: "addN", shapes: same(3), run: (...x) => tf.addN(x) },
  { name: "sum over the last axis", shapes: anyRank, run: (x) => tf.sum(x, -1) },
  { name: "mean over space", shapes: picture, run: (x) => tf.mean(x, [1, 2], true) },
  { name: "max over the last axis", shapes: anyRank, run: (x) => tf.max(x, -1) },
  { name: "variance", shapes: one(3), run: (x) => tf.moments(x, 2, true).variance },
  { name: "softmax", shapes: anyRank, run: (x) => tf.softmax(x) },
  { name: "logSoftmax", shapes: anyRank, run: (x) => tf.logSoftmax(x) },
  { name: "logSumExp", shapes: one(2), run: (x) => tf.logSumExp(x, 1) },
  { name: "transpose", shapes: picture, run: (x) => tf.transpose(x, [0, 2, 1, 3]) },
  { name: "reverse", shapes: picture, run: (x) => tf.reverse(x, [1, 2]) },
  { name: "concat", shapes: same(2), run: (a, b) => tf.concat([a, b], -1) },
  { name: "stack", shapes: same(2), run: (a, b) => tf.stack([a, b], 1) },
  { name: "unstack", shapes: one(3), run: (x) => tf.addN(tf.unstack(x.tile([1, 2, 1]), 1)) },
  {
    name: "split",
    shapes: one(3),
    run: (x) => tf.sub(...(tf.split(x.tile([1, 1, 2]), 2, -1) as [tf.Tensor, tf.Tensor])),
  },
  { name: "slice", shapes: one(2), run: (x) => tf.slice(x, [x.shape[0] - 1, 0]) },
  {
    name: "pad",
    shapes: picture,
    run: (x) =>
      tf.pad(x, [
        [0, 0],
        [1, 2],
        [0, 1],
        [0, 0],
      ]),
  },
  { name: "tile", shapes: one(3), run: (x) => tf.tile(x, [2, 1, 3]) },
  { name: "expandDims", shapes: one(3), run: (x) => tf.expandDims(x, 1).square() },
  {
    name: "where",
    shapes: same(2),
    run: (a, b) => tf.where(tf.randomUniform(a.shape, 0, 1, "float32", 1).greater(0.5), a, b),
  },
  { name: "cast", shapes: anyRank, run: (x) => tf.cast(tf.cast(x.mul(9), "int32"), "float32"), gradient: false },
  { name: "argMax", shapes: one(2), run: (x) => tf.argMax(x, 1).toFloat(), gradient: false },
  { name: "cumsum", shapes: one(2), run: (x) => tf.cumsum(x, 1) },
  { name: "gather", shapes: one(2), run: (x) => tf.gather(x, tf.tensor1d([x.shape[0] - 1, 0, 0], "int32")) },
  { name: "oneHot", shapes: one(1), run: (x) => tf.oneHot(tf.cast(x.mul(5), "int32"), 4).toFloat(), gradient: false },
  {
    name: "matMul",
    shapes: fc.tuple(size, size, size, size).map(([b, m, k, n]) => [
      [b, m, k],
      [b, k, n],
    ]),
    run: (a, b) => tf.matMul(a, b),
  },
  { name: "conv2d", shapes: conv, run: (x, f) => tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 1, "same") },
  {
    name: "conv2d with stride 2",
    shapes: conv,
    run: (x, f) => tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 2, "valid"),
  },
  { name: "avgPool", shapes: picture, run: (x) => tf.avgPool(x.tile<tf.Tensor4D>([1, 2, 2, 1]), 2, 2, "valid") },
  {
    name: "resizeNearestNeighbor",
    shapes: picture,
    run: (x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [x.shape[1]! * 2, x.shape[2]! * 2]),
  },
  {
    name: "resizeBilinear", // its gradient on cpu has height and width swapped
    gradient: false,
    shapes: picture,
    run: (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [x.shape[1]! * 2, x.shape[2]! * 2]),
  },
];

/** The value, and the gradient of a weighted sum of it with respect to each input. */
function valueAndGradients({ run, gradient }: Case, inputs: tf.Tensor[]): tf.Tensor[] {
  const value = run(...inputs);
  if (gradient === false) return [value];
  const weights = uniformValues(value.shape, 99);
  const weighted = (...tensors: tf.Tensor[]) =>
    run(...tensors)
      .mul(tf.tensor(weights.values, weights.shape))
      .sum();
  return [value, ...tf.grads(weighted)(inputs)];
}

/** Largest difference relative to max(1, the largest value): float32 results of the same formula. */
function relativeDifference(a: Values[], b: Values[]): number {
  return Math.max(
    ...a.map(({ shape, values }, i) => {
      const scale = Array.from(values).reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
      return largestDifference({ shape, values }, b[i]!) / scale;
    }),
  );
}

/**
 * Both sides round every operation to float32 and may take another formula for exp, erf, tanh (errors of 2 to 4 units
 * in the last place each); sums run over up to 9^3 terms. Measured over these cases: at most 9e-7.
 */
const TOLERANCE = 3e-6;

const native = await useBackend("node").then(
  () => undefined,
  (error: Error) => error.message,
);
// After the native one, which in Jest brings a second copy of TensorFlow.js with kernels of its own for cpu.
await useBackend("cpu");
await useBackend("wasm");
if (native !== undefined) console.info(`wasm is not compared with the native backend here: ${native}`);

describe.each([
  ["cpu", "cpu"],
  ["native", "tensorflow"],
] as const)("wasm equals the %s backend, value and gradients, in", (label, reference) => {
  // The native backend is an optional installation.
  const test = label === "native" && native !== undefined ? it.skip : it;
  test.each(cases.map((entry) => [entry.name, entry] as const))("%s", async (_, entry) => {
    await fc.assert(
      fc.asyncProperty(entry.shapes, fc.nat(), async (shapes, seed) => {
        const inputs = shapes.map((s, i) => {
          const { shape, values } = uniformValues(s, seed + i);
          return { shape, values: values.map((value) => value + (entry.offset ?? 0)) };
        });
        const [wasm, other] = [
          await computeOn("wasm", inputs, (...tensors) => valueAndGradients(entry, tensors)),
          await computeOn(reference, inputs, (...tensors) => valueAndGradients(entry, tensors)),
        ];
        expect(relativeDifference(wasm, other)).toBeLessThanOrEqual(TOLERANCE);
      }),
      { numRuns: 12, seed: 3 },
    );
  });
});
