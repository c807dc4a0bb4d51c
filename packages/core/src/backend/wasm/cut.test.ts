import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { computeOn, uniformValues, type Values } from "../testing/compare.js";
import { LAYER_KERNELS, UPDATE_KERNELS } from "../fused-kernels.js";
import { LAYER_CASES, layerInputs, valueAndGradients } from "../testing/layer-cases.js";
import { type KernelCase, UPDATE_CASES } from "../testing/update-cases.js";
import { useBackend } from "../use-backend.js";
import { WasmContext } from "./context.js";
import { memoryOf, type WasmBackend } from "./memory.js";
import { registerKernels, TF_KERNELS } from "./register.js";
import { loadSimd } from "./simd.js";
import type { SimdFunctions } from "./simd-binary.js";
import { inTurn, partsOf, type Threads } from "./cut.js";

let functions: SimdFunctions;
let backend: WasmBackend;
beforeAll(async () => {
  await useBackend("wasm", { threads: 1 });
  backend = tf.backend() as WasmBackend;
  ({ functions } = await loadSimd(backend, 1));
  const malloc = backend.wasm._malloc.bind(backend.wasm);
  backend.wasm._malloc = (bytes) => {
    const address = malloc(bytes) >>> 0;
    new Uint8Array(memoryOf(backend).buffer, address, bytes).fill(0xff); // NaN wherever nothing is written
    return address;
  };
});

const size = fc.integer({ min: 1, max: 13 });
const sizes = fc.record({
  batch: fc.integer({ min: 1, max: 6 }),
  a: size,
  b: size,
  c: size,
  d: size,
  odd: fc.boolean(),
});
const shaped = (shapes: number[][], run: KernelCase["run"]): KernelCase => ({ shapes, run });

/** Every kernel of ours for an operation of TensorFlow.js, at sizes of any kind. */
const TF_CASES: Record<string, fc.Arbitrary<KernelCase>> = {
  Add: fc.tuple(sizes, fc.nat(2)).map(([{ a, b, c }, kind]) => {
    const shapes = [
      [
        [a, b, c],
        [a, 1, c],
      ],
      [[b, c], [c]],
      [[c], [c]],
    ][kind]!;
    return shaped(shapes, (x, y) => [tf.add(x, y)]);
  }),
  BatchMatMul: fc.tuple(sizes, fc.boolean(), fc.boolean()).map(([{ batch, a, b, c }, one, isFirst]) => {
    const [many, few] = [batch, one ? 1 : batch];
    if (isFirst)
      return shaped(
        [
          [many, b, a],
          [few, b, c],
        ],
        (x, y) => [tf.matMul(x, y, true)],
      );
    return shaped(
      [
        [many, a, b],
        [few, c, b],
        [few, b, c],
      ],
      (x, y, z) => [tf.matMul(x, y, false, true), tf.matMul(x, z)],
    );
  }),
  Concat: sizes.map(({ a, b, c }) =>
    shaped(
      [
        [a, b],
        [a, c],
      ],
      (x, y) => [tf.concat([x, y], 1)],
    ),
  ),
  Conv2D: convolutions((x, filter, stride) => [tf.conv2d(x, filter, stride, "same")]),
  Conv2DBackpropFilter: convolutions((x, filter, stride) => [
    tf.grad((f) => tf.conv2d(x, f as tf.Tensor4D, stride, "same"))(filter),
  ]),
  Conv2DBackpropInput: convolutions((x, filter, stride) => [
    tf.grad((y) => tf.conv2d(y as tf.Tensor4D, filter, stride, "same"))(x),
  ]),
  Erf: sizes.map(({ a, b }) => shaped([[a, b]], (x) => [tf.erf(x)])),
  Identity: sizes.map(({ a, b }) => shaped([[a, b]], (x) => [x.clone()])),
  Mean: sizes.map(({ a, b, c }) => shaped([[a, b, c]], (x) => [0, 1, 2].map((axis) => tf.mean(x, axis)))),
  ResizeNearestNeighborGrad: sizes.map(({ batch, a, b, c }) =>
    shaped([[batch, a, b, c]], (x) => [
      tf.grad((y) => tf.image.resizeNearestNeighbor(y as tf.Tensor4D, [3 * a, 2 * b]).square())(x),
    ]),
  ),
  Softmax: sizes.map(({ a, b }) => shaped([[a, b]], (x) => [tf.softmax(x)])),
  SplitV: sizes.map(({ a, b, c }) => shaped([[a, b + c]], (x) => tf.split(x, [b, c], 1))),
  Sum: sizes.map(({ a, b, c }) => shaped([[a, b, c]], (x) => [0, 1, 2, [0, 1]].map((axis) => tf.sum(x, axis)))),
  UnsortedSegmentSum: sizes.map(({ a, b }) =>
    shaped([[a, b]], (x) => [
      tf.unsortedSegmentSum(x, tf.range(0, a, 1, "int32").mod(tf.scalar(3, "int32")).toInt() as tf.Tensor1D, 3),
    ]),
  ),
};

function convolutions(run: (x: tf.Tensor4D, filter: tf.Tensor4D, stride: number) => tf.Tensor[]) {
  return sizes.map(({ batch, a, b, c, d, odd }) =>
    shaped(
      [
        [batch, a + 2, b + 2, c],
        [3, 3, c, d],
      ],
      (x, filter) => run(x as tf.Tensor4D, filter as tf.Tensor4D, odd ? 2 : 1),
    ),
  );
}

interface Work {
  inputs: Values[];
  compute: (...inputs: tf.Tensor[]) => tf.Tensor[];
}

const plain = (cases: fc.Arbitrary<KernelCase>) =>
  fc.tuple(cases, fc.nat(1000)).map(([{ shapes, run }, seed]): Work => {
    return { inputs: shapes.map((shape, i) => uniformValues(shape, seed + i)), compute: run };
  });
const differentiated = (cases: (typeof LAYER_CASES)[string]) =>
  fc.tuple(cases, fc.nat(1000)).map(([example, seed]): Work => {
    return { inputs: layerInputs(example, seed), compute: valueAndGradients(example.run) };
  });

const onWasm = (kernels: object) =>
  Object.entries(kernels).flatMap(([name, forms]) => ("wasm" in (forms as object) ? [name] : []));
const KERNELS: [string, string, () => fc.Arbitrary<Work>][] = [
  ...Object.keys(TF_KERNELS).map((name) => ["operation", name, () => plain(TF_CASES[name]!)] as never),
  ...onWasm(LAYER_KERNELS).map((name) => ["layer's kernel", name, () => differentiated(LAYER_CASES[name]!)] as never),
  ...onWasm(UPDATE_KERNELS).map((name) => ["update's kernel", name, () => plain(UPDATE_CASES[name]!)] as never),
];

/** Functions that were called in parts. */
const cut = new Set<string>();

/** The threads' calls one after the other: what one leaves undone, or does twice, shows all the same. */
function watched(count: number): Threads {
  const threads = inTurn(functions, count);
  return {
    count,
    run(name, calls) {
      expect(calls.length).toBeGreaterThan(0);
      expect(calls.length).toBeLessThanOrEqual(count);
      if (calls.length > 1) cut.add(name);
      threads.run(name, calls);
    },
  };
}

async function computed({ inputs, compute }: Work, threads: Threads): Promise<Values[]> {
  registerKernels(new WasmContext(backend, functions, threads, 0));
  return computeOn("wasm", inputs, compute);
}

describe("Kernels on several threads", () => {
  it.each(KERNELS)("the %s %s gives what one thread gives", async (_, __, cases) => {
    await fc.assert(
      fc.asyncProperty(cases(), fc.integer({ min: 2, max: 4 }), async (work, threads) => {
        const expected = await computed(work, inTurn(functions, 1));
        const actual = await computed(work, watched(threads));
        expect(actual.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
        for (const [k, { values }] of actual.entries()) {
          const wanted = expected[k]!.values;
          const largest = Math.max(...Array.from(wanted, Math.abs), 1);
          // Parts of a sum in another order: some float32 roundings of the largest.
          const wrong = values.findIndex((value, i) => !(Math.abs(value - wanted[i]!) <= 1e-5 * largest));
          expect([wrong, values[wrong], wanted[wrong]]).toEqual([-1, undefined, undefined]);
        }
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  it("cut every SIMD function that computes", () => {
    const all = Object.keys(functions).filter((name) => name !== "copyRows" && !name.endsWith("Scratch"));
    expect(all.length).toBeGreaterThan(20);
    expect(all.filter((name) => !cut.has(name))).toEqual([]);
  });

  it("are cut into parts of nearly the same size, which begin at whole steps", () => {
    const runs = (count: number, most: number, step?: number) =>
      partsOf({ count, work: 1, step }, most).map(({ from, size }) => [from, size]);
    expect(runs(7, 3)).toEqual([
      [0, 2],
      [2, 2],
      [4, 3],
    ]);
    expect(runs(2, 4)).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect(runs(0, 4)).toEqual([[0, 0]]);
    expect(runs(10, 2, 4)).toEqual([
      [0, 4],
      [4, 6],
    ]);
  });
});
