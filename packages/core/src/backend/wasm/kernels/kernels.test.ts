import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { computeOn, largestDifference, sumTolerance, uniformValues, type Values } from "../../testing/compare.js";
import { useBackend } from "../../use-backend.js";

beforeAll(async () => void (await useBackend("wasm")));

type Compute = (...tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

/** The largest difference between a computation on wasm and the same, or `reference`, on cpu. */
async function wasmAgainstCpu(inputs: Values[], compute: Compute, reference = compute) {
  const wasm = await computeOn("wasm", inputs, compute);
  const cpu = await computeOn("cpu", inputs, reference);
  return Math.max(...wasm.map((values, i) => largestDifference(values, cpu[i]!)));
}

const upTo = (max: number) => fc.integer({ min: 1, max });
const runs = { numRuns: 150, seed: 1 };

/** A convolution that has an output: sizes odd and even, strides and filters not square, every form of padding. */
const convolutions = fc
  .record({
    batch: upTo(4),
    height: upTo(13),
    width: upTo(13),
    inChannels: upTo(11),
    outChannels: upTo(19),
    filter: fc.tuple(upTo(4), upTo(4)),
    strides: fc.tuple(upTo(3), upTo(3)),
    pad: fc.oneof(
      fc.constantFrom("same" as const, "valid" as const),
      fc
        .tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3))
        .map(([top, bottom, left, right]): tf.backend_util.ExplicitPadding => [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ]),
    ),
    seed: fc.nat(),
  })
  .map(({ batch, height, width, inChannels, outChannels, filter, ...rest }) => ({
    ...rest,
    inShape: [batch, height, width, inChannels] as [number, number, number, number],
    filterShape: [...filter, inChannels, outChannels] as [number, number, number, number],
  }))
  .filter(({ inShape, filterShape, strides, pad }) => {
    const { outHeight, outWidth } = tf.backend_util.computeConv2DInfo(inShape, filterShape, strides, 1, pad);
    return outHeight > 0 && outWidth > 0;
  });

describe("convolution gradients on wasm", () => {
  it("equal the cpu backend's for random shapes, strides and paddings", async () => {
    await fc.assert(
      fc.asyncProperty(convolutions, async ({ inShape, filterShape, strides, pad, seed }) => {
        const info = tf.backend_util.computeConv2DInfo(inShape, filterShape, strides, 1, pad);
        const inputs = [
          uniformValues(inShape, seed),
          uniformValues(filterShape, seed + 1),
          uniformValues(info.outShape, seed + 2),
        ];
        const difference = await wasmAgainstCpu(inputs, (x, filter, dy) => {
          const attributes = { strides, pad, dataFormat: "NHWC" };
          return [
            tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, pad),
            tf.engine().runKernel<tf.Tensor>(tf.Conv2DBackpropFilter, { x: x, dy: dy }, { ...attributes, filterShape }),
            tf
              .engine()
              .runKernel<tf.Tensor>(
                tf.Conv2DBackpropInput,
                { dy: dy, filter: filter },
                { ...attributes, inputShape: inShape },
              ),
          ];
        });
        const pixels = info.batchSize * info.outHeight * info.outWidth;
        const taps = info.filterHeight * info.filterWidth * info.outChannels;
        expect(difference).toBeLessThanOrEqual(sumTolerance(Math.max(pixels, taps)));
      }),
      runs,
    );
  });

  it("are the finite differences of a convolution computed in float64", async () => {
    await fc.assert(
      fc.asyncProperty(convolutions, async ({ inShape, filterShape, strides, pad, seed }) => {
        const info = tf.backend_util.computeConv2DInfo(inShape, filterShape, strides, 1, pad);
        const [x, filter, dy] = [
          uniformValues(inShape, seed),
          uniformValues(filterShape, seed + 1),
          uniformValues(info.outShape, seed + 2),
        ];
        const loss = (a: tf.Tensor, b: tf.Tensor) =>
          tf
            .conv2d(a as tf.Tensor4D, b as tf.Tensor4D, strides, pad)
            .mul(tf.tensor(dy.values, dy.shape))
            .sum();
        const [dx, dFilter] = await computeOn("wasm", [x, filter], (a, b) => tf.grads(loss)([a, b]));
        const { max, abs } = Math;
        const reference = (input: Float64Array, weights: Float64Array) =>
          convolutionDotProduct(info, input, weights, dy.values);
        for (const [moved, gradient] of [
          [0, dx!],
          [1, dFilter!],
        ] as const) {
          const at = [x, filter].map(({ values }) => Float64Array.from(values)) as [Float64Array, Float64Array];
          const element = seed % gradient.values.length;
          const start = at[moved][element]!;
          const ends = [-0.5, 0.5].map((step) => {
            at[moved][element] = start + step;
            return reference(...at);
          });
          // The loss is linear in either argument: a step of 1 makes the difference exact but for float32's own error.
          const slope = ends[1]! - ends[0]!;
          expect(abs(gradient.values[element]! - slope)).toBeLessThanOrEqual(
            sumTolerance(max(x.values.length, filter.values.length)),
          );
        }
      }),
      { numRuns: 60, seed: 2 },
    );
  });

  it("equal the cpu backend's where a picture spans several strips of rows", async () => {
    const inputs = [uniformValues([2, 37, 41, 5], 3), uniformValues([2, 37, 41, 9], 4)];
    const difference = await wasmAgainstCpu(inputs, (x, dy) =>
      tf.engine().runKernel<tf.Tensor>(
        tf.Conv2DBackpropFilter,
        { x: x, dy: dy },
        {
          strides: 1,
          pad: "same",
          dataFormat: "NHWC",
          filterShape: [3, 3, 5, 9],
        },
      ),
    );
    expect(difference).toBeLessThanOrEqual(sumTolerance(2 * 37 * 41));
  });

  it("refuse dilation and channels-first data in words", async () => {
    await tf.setBackend("wasm");
    tf.tidy(() => {
      const x = tf.ones<tf.Rank.R4>([1, 8, 8, 2]);
      const filter = tf.ones<tf.Rank.R4>([3, 3, 2, 2]);
      const dilated = (f: tf.Tensor4D) => tf.conv2d(x, f, 1, "same", "NHWC", 2).sum().asScalar();
      expect(() => tf.grad(dilated as (f: tf.Tensor) => tf.Tensor)(filter)).toThrow(/dilation/);
      const attributes = { strides: 1, pad: "same", dataFormat: "NCHW", filterShape: [3, 3, 8, 8] };
      expect(() => tf.engine().runKernel<tf.Tensor>(tf.Conv2DBackpropFilter, { x, dy: x }, attributes)).toThrow(
        "must be NHWC",
      );
    });
  });
});

type ConvInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

/** sum(conv2d(input, filter) * dy) in float64, written from the definition. */
function convolutionDotProduct(
  info: ConvInfo,
  input: Float64Array,
  filter: Float64Array,
  dy: ArrayLike<number>,
): number {
  let sum = 0;
  let at = 0;
  for (let b = 0; b < info.batchSize; b++)
    for (let y = 0; y < info.outHeight; y++)
      for (let x = 0; x < info.outWidth; x++)
        for (let o = 0; o < info.outChannels; o++, at++)
          for (let ky = 0; ky < info.filterHeight; ky++)
            for (let kx = 0; kx < info.filterWidth; kx++) {
              const row = y * info.strideHeight + ky - info.padInfo.top;
              const column = x * info.strideWidth + kx - info.padInfo.left;
              if (row < 0 || row >= info.inHeight || column < 0 || column >= info.inWidth) continue;
              const from = ((b * info.inHeight + row) * info.inWidth + column) * info.inChannels;
              const tap = (ky * info.filterWidth + kx) * info.inChannels;
              for (let i = 0; i < info.inChannels; i++) {
                sum += input[from + i]! * filter[(tap + i) * info.outChannels + o]! * dy[at]!;
              }
            }
  return sum;
}

describe("batched matMul on wasm", () => {
  const sizes = fc.record({
    m: upTo(21),
    n: upTo(21),
    k: upTo(40),
    seed: fc.nat(),
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
  });
  const batches = fc
    .array(fc.tuple(upTo(3), fc.constantFrom("both", "a", "b")), { maxLength: 3 })
    .chain((axes) => fc.tuple(fc.nat(axes.length), fc.constant(axes)))
    .map(([dropped, axes]) => ({
      a: axes.map(([size, has]) => (has === "b" ? 1 : size)).slice(dropped),
      b: axes.map(([size, has]) => (has === "a" ? 1 : size)),
    }));

  it("equals the cpu backend's for random shapes, transpositions and broadcasts", async () => {
    await fc.assert(
      fc.asyncProperty(sizes, batches, async ({ m, n, k, seed, transposeA, transposeB }, batch) => {
        const a = uniformValues([...batch.a, ...(transposeA ? [k, m] : [m, k])], seed);
        const b = uniformValues([...batch.b, ...(transposeB ? [n, k] : [k, n])], seed + 1);
        const full = tf.broadcast_util.assertAndGetBroadcastShape(batch.a, batch.b);
        // The cpu backend is wrong where each operand is broadcast along an axis of its own, so it is given the copies.
        const copied = (x: tf.Tensor) => x.broadcastTo([...full, ...x.shape.slice(-2)]);
        const difference = await wasmAgainstCpu(
          [a, b],
          (x, y) => tf.matMul(x, y, transposeA, transposeB),
          (x, y) => tf.matMul(copied(x), copied(y), transposeA, transposeB),
        );
        expect(difference).toBeLessThanOrEqual(sumTolerance(k));
      }),
      runs,
    );
  });

  it("equals the cpu backend's where the depth takes several blocks", async () => {
    for (const k of [511, 512, 513, 1100]) {
      const difference = await wasmAgainstCpu([uniformValues([2, 7, k], k), uniformValues([2, 13, k], k + 1)], (x, y) =>
        tf.matMul(x, y, false, true),
      );
      expect(difference).toBeLessThanOrEqual(sumTolerance(k));
    }
  });

  it("has for gradients the products with the other factor transposed", async () => {
    const [a, b, dy] = [uniformValues([2, 5, 7], 1), uniformValues([2, 7, 6], 2), uniformValues([2, 5, 6], 3)];
    const loss = (x: tf.Tensor, y: tf.Tensor) => tf.matMul(x, y).mul(tf.tensor(dy.values, dy.shape)).sum();
    const difference = await wasmAgainstCpu([a, b], (x, y) => tf.grads(loss)([x, y]));
    expect(difference).toBeLessThanOrEqual(sumTolerance(7));
  });

  it("names both shapes when they do not fit", async () => {
    await tf.setBackend("wasm");
    tf.tidy(() => {
      const attributes = { transposeA: false, transposeB: true };
      const run = () =>
        tf.engine().runKernel<tf.Tensor>(tf.BatchMatMul, { a: tf.ones([2, 3, 4]), b: tf.ones([2, 4, 3]) }, attributes);
      expect(run).toThrow("[2,3,4] has 4 columns, [2,4,3] transposed has 3 rows");
    });
  });
});

describe("sum of segments on wasm", () => {
  it("equals the cpu backend's for random ids, some outside the range", async () => {
    const cases = fc.record({
      rows: upTo(20),
      rest: fc.array(upTo(5), { maxLength: 2 }),
      numSegments: upTo(7),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, rest, numSegments, seed }) => {
        const x = uniformValues([rows, ...rest], seed);
        const ids = Int32Array.from(
          uniformValues([rows], seed + 1).values,
          (u) => Math.floor(((u + 1) / 2) * (numSegments + 2)) - 1,
        );
        const difference = await wasmAgainstCpu([x, { shape: [rows], values: ids }], (t, i) =>
          tf.unsortedSegmentSum(t, i as tf.Tensor1D, numSegments),
        );
        expect(difference).toBeLessThanOrEqual(sumTolerance(rows));
      }),
      runs,
    );
  });

  it("is the gradient of gather: every row counts how often it was taken", async () => {
    const taken = { shape: [4], values: Int32Array.of(2, 0, 2, 2) };
    const [gradient] = await computeOn("wasm", [uniformValues([3, 2], 1), taken], (table, ids) =>
      tf.grad((t) => tf.gather(t, ids as tf.Tensor1D).sum())(table),
    );
    expect([...gradient!.values]).toEqual([1, 1, 0, 0, 3, 3]);
  });
});

describe("reductions on wasm", () => {
  const shapes = fc.record({ outer: upTo(5), count: fc.integer({ min: 1, max: 700 }), inner: upTo(9), seed: fc.nat() });

  it("equal the cpu backend's over first, middle and last axes, however long", async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), async ({ outer, count, inner, seed }, keepDims) => {
        const difference = await wasmAgainstCpu([uniformValues([outer, count, inner], seed)], (x) => [
          tf.sum(x, 1, keepDims),
          tf.mean(x, [0, 1], keepDims),
          tf.sum(x, [1, 2], keepDims),
          tf.mean(x.reshape([outer, count * inner]), 1, keepDims),
          tf.sum(x),
        ]);
        expect(difference).toBeLessThanOrEqual(sumTolerance(outer * count * inner));
      }),
      { numRuns: 40, seed: 4 },
    );
  });

  it("sum a million ones to a million: no digit is lost in a long sum", async () => {
    const ones = { shape: [1_000_000], values: new Float32Array(1_000_000).fill(1.000001) };
    const [sum] = await computeOn("wasm", [ones], (x) => tf.sum(x));
    // float32 holds 1.000001 as 1.00000095...; a plain running sum is off by more than 1000 * 2^-24.
    expect(Math.abs(sum!.values[0]! / 1e6 / Math.fround(1.000001) - 1)).toBeLessThanOrEqual(16 * 2 ** -24);
  });
});

describe("the gradient of resizing to the nearest pixel, on wasm", () => {
  it("equals the cpu backend's, for multiples of the size and others", async () => {
    await useBackend("cpu"); // which mends this gradient
    await useBackend("wasm");
    const sizes = fc.record({
      batch: upTo(3),
      height: upTo(5),
      width: upTo(5),
      channels: upTo(19),
      tall: upTo(3),
      wide: upTo(3),
      more: fc.nat(1),
      alignCorners: fc.boolean(),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(sizes, async ({ batch, channels, tall, wide, more, alignCorners, seed, ...small }) => {
        // With a single row and aligned corners, the cpu backend divides by 0 and never ends.
        const [height, width] = [small.height, small.width].map((size) => size + Number(alignCorners)) as [
          number,
          number,
        ];
        const size: [number, number] = [height * tall + more, width * wide];
        const inputs = [
          uniformValues([batch, height, width, channels], seed),
          uniformValues([batch, ...size, channels], seed + 1),
        ];
        const resize = (x: tf.Tensor) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, size, alignCorners);
        const gradient = (x: tf.Tensor, dy: tf.Tensor) => tf.grad(resize)(x, dy);
        expect(await wasmAgainstCpu(inputs, gradient as Compute)).toBeLessThan(
          sumTolerance((tall + more + 1) * (wide + 1)),
        );
      }),
      runs,
    );
  });
});

describe("softmax on wasm", () => {
  it("is the softmax of float64 within a few units in the last place, also of scores far apart", async () => {
    await fc.assert(
      fc.asyncProperty(
        upTo(4),
        upTo(70),
        fc.constantFrom(1, 10, 80, 1e4),
        fc.nat(),
        async (rows, count, scale, seed) => {
          const { shape, values } = uniformValues([rows, count], seed);
          const scaled = values.map((value) => value * scale);
          const [result] = await computeOn("wasm", [{ shape, values: scaled }], (x) => tf.softmax(x));
          for (let row = 0; row < rows; row++) {
            const scores = Array.from(scaled.subarray(row * count, (row + 1) * count));
            const largest = Math.max(...scores);
            // The scores less the largest are rounded to float32 by any softmax in float32, so by the reference too.
            const powers = scores.map((score) => Math.exp(Math.fround(score - largest)));
            const total = powers.reduce((sum, power) => sum + power, 0);
            for (const [i, power] of powers.entries()) {
              const difference = Math.abs(result!.values[row * count + i]! - power / total);
              // exp 2 units, the sum's terms and its roundings 4, the two products 1 each; e^-87.3 counts as 0.
              expect(difference).toBeLessThanOrEqual(8 * 2 ** -23 * (power / total) + 1e-37);
            }
          }
        },
      ),
      { numRuns: 60, seed: 5 },
    );
  });

  it("passes NaN on and gives scores of -Infinity no weight", async () => {
    const values = Float32Array.of(0, -Infinity, 1, NaN, 0, 0);
    const [result] = await computeOn("wasm", [{ shape: [2, 3], values }], (x) => tf.softmax(x));
    expect(result!.values[1]).toBe(0);
    expect(result!.values[0]! + result!.values[2]!).toBeCloseTo(1, 6);
    expect(result!.values[3]).toBeNaN();
  });
});

/**
 * erf(x) = 2 / sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!, all of whose terms have one sign (DLMF 7.6.2);
 * float64.
 */
function erfReference(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) sum += term *= (2 * x * x) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

describe("erf on wasm", () => {
  it("is the error function within 4e-7 of its size, so that it keeps the digits of small numbers, whatever the count", async () => {
    await fc.assert(
      fc.asyncProperty(upTo(70), fc.constantFrom(1e-30, 1e-3, 0.6, 1, 5), fc.nat(), async (count, scale, seed) => {
        const { shape, values } = uniformValues([count], seed);
        const x = values.map((value) => value * scale);
        const [result] = await computeOn("wasm", [{ shape, values: x }], (input) => tf.erf(input));
        for (const [i, value] of x.entries()) {
          const expected = erfReference(value);
          const error = Math.abs(result!.values[i]! - expected);
          // The fit's own error and the roundings of its polynomials: 3.2e-7 at most on a fine grid.
          expect(error).toBeLessThanOrEqual(4e-7 * Math.abs(expected));
        }
      }),
      { numRuns: 100, seed: 6 },
    );
  });

  it("ends at 1 and -1, is odd, keeps zeros, and passes NaN on", async () => {
    const values = Float32Array.of(Infinity, -Infinity, 1e20, -1e20, NaN, 0, -0);
    const [result] = await computeOn("wasm", [{ shape: [7], values }], (x) => tf.erf(x));
    expect([...result!.values]).toEqual([1, -1, 1, -1, NaN, 0, -0]);
  });

  it("has the gradient 2 / sqrt(pi) e^(-x^2)", async () => {
    const x = uniformValues([33], 7);
    const [gradient] = await computeOn("wasm", [x], (input) => tf.grad((y: tf.Tensor) => tf.erf(y))(input));
    for (const [i, value] of x.values.entries()) {
      const step = 1e-5;
      const slope = (erfReference(value + step) - erfReference(value - step)) / (2 * step);
      expect(Math.abs(gradient!.values[i]! - slope)).toBeLessThanOrEqual(5e-7);
    }
  });
});

describe("split on wasm", () => {
  it("equals the cpu backend's along any axis, into equal and given sizes", async () => {
    const parts = fc.array(upTo(5), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        upTo(4),
        upTo(5),
        parts,
        fc.constantFrom(0, 1, 2, -1),
        fc.nat(),
        async (a, b, sizes, axis, seed) => {
          const whole = sizes.reduce((sum, size) => sum + size, 0);
          const shape = axis === 0 ? [whole, a, b] : axis === 1 ? [a, whole, b] : [a, b, whole];
          const difference = await wasmAgainstCpu([uniformValues(shape, seed)], (x) => [
            ...tf.split(x, sizes, axis),
            ...tf.split(x, whole, axis),
            ...tf.split(x.mul(9).toInt(), sizes, axis),
          ]);
          expect(difference).toBe(0);
        },
      ),
      { numRuns: 60, seed: 6 },
    );
  });
});

describe("concat on wasm", () => {
  it("equals the cpu backend's along any axis, with empty parts, whole numbers and both together", async () => {
    const sizes = fc.array(fc.nat(4), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(4),
        upTo(5),
        sizes,
        fc.constantFrom(0, 1, 2, -1),
        fc.nat(),
        async (a, b, sizes, axis, seed) => {
          const inputs = sizes.map((size, i) =>
            uniformValues(axis === 0 ? [size, a, b] : axis === 1 ? [a, size, b] : [a, b, size], seed + i),
          );
          const difference = await wasmAgainstCpu(inputs, (...parts) => {
            const whole = parts.map((part) => part.mul(9).toInt());
            return [
              tf.concat(parts, axis),
              tf.concat(whole, axis),
              tf.concat([parts[0]!.greater(0), parts.at(-1)!.greater(0)], axis),
            ];
          });
          expect(difference).toBe(0);
        },
      ),
      { numRuns: 80, seed: 6 },
    );
  });

  it("refuses parts that differ elsewhere", async () => {
    await tf.setBackend("wasm");
    tf.tidy(() => expect(() => tf.concat([tf.ones([2, 3]), tf.ones([3, 3])], 1)).toThrow("shape"));
  });
});

describe("clone on wasm", () => {
  it("takes no memory, and lasts when the other goes first", async () => {
    await tf.setBackend("wasm");
    const { numBytes, numDataBuffers } = tf.memory();
    for (const dtype of ["float32", "int32", "bool"] as const) {
      const x = tf.tensor([1, 0, 1], [3], dtype);
      const copy = x.clone();
      expect(tf.memory().numDataBuffers).toBe(numDataBuffers + 1);
      x.dispose();
      expect([...copy.dataSync()]).toEqual([1, 0, 1]);
      copy.dispose();
    }
    expect(tf.memory()).toMatchObject({ numBytes, numDataBuffers });
  });

  it("of a string is a string", async () => {
    await tf.setBackend("wasm");
    tf.tidy(() => expect(tf.tensor(["word"]).clone().dataSync()).toEqual(["word"]));
  });
});

describe("addition on wasm", () => {
  it("equals the cpu backend's, whichever axes are repeated, in whichever order, with empty and integer tensors", async () => {
    const axis = fc.tuple(fc.nat(6), fc.constantFrom("both", "first", "second"));
    await fc.assert(
      fc.asyncProperty(fc.array(axis, { maxLength: 4 }), fc.nat(4), fc.nat(), async (axes, cut, seed) => {
        const first = axes.map(([size, of]) => (of === "second" ? 1 : size));
        const second = axes.map(([size, of]) => (of === "first" ? 1 : size)).slice(Math.min(cut, axes.length));
        const difference = await wasmAgainstCpu(
          [uniformValues(first, seed), uniformValues(second, seed + 1)],
          (a, b) => [tf.add(a, b), tf.add(b, a), tf.add(a.mul(9).toInt(), b.mul(9).toInt())],
        );
        expect(difference).toBe(0);
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  it("repeats what only leading ones and one run of axes set apart, by itself, and leaves the rest to the stock kernel", async () => {
    for (const [full, other] of [
      [
        [2, 3, 4, 5],
        [2, 1, 1, 5],
      ],
      [[2, 3, 4, 5], [5]],
      [
        [2, 3, 4, 5],
        [1, 3, 1, 5],
      ],
      [
        [2, 3, 4, 5],
        [2, 3, 4, 1],
      ],
      [[3, 5], []],
    ] as const) {
      const inputs = [uniformValues([...full], 1), uniformValues([...other], 2)];
      expect(await wasmAgainstCpu(inputs, (a, b) => tf.add(a, b))).toBe(0);
    }
  });
});
