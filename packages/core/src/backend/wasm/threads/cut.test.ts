import { beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { uniformValues } from "../../testing/compare.js";
import { divide, parallelKernels, sumsBytes } from "./parallel.js";
import { loadSimd } from "../simd.js";
import type { SimdKernels } from "../simd-kernels.js";

const memory = new WebAssembly.Memory({ initial: 64 });
let plain: SimdKernels;
beforeAll(async () => {
  plain = await loadSimd({ wasm: { asm: { memory } } } as never, 1);
});

/** Hands out memory, inputs filled with numbers from -1 to 1, and remembers what is a result. */
class Desk {
  #next = 1024;
  #inputs = 0;
  readonly #results: [at: number, count: number][] = [];

  input(count: number): number {
    const at = this.bytes(4 * count);
    new Float32Array(memory.buffer, at, count).set(uniformValues([count], ++this.#inputs).values);
    return at;
  }

  output(count: number): number {
    const at = this.bytes(4 * count);
    this.#results.push([at, count]);
    return at;
  }

  bytes(count: number): number {
    const at = this.#next;
    this.#next += Math.ceil(count / 64) * 64 + 64;
    return at;
  }

  results(): number[] {
    return this.#results.flatMap(([at, count]) => [...new Float32Array(memory.buffer, at, count)]);
  }
}

type Sizes = { a: number; b: number; c: number; d: number; batch: number; odd: number };
type Work = (simd: SimdKernels, desk: Desk, sizes: Sizes) => void;

/** Every kernel that is cut, at sizes of any kind. */
const WORK: Record<string, Work> = {
  add: (simd, desk, { a, b, c }) => simd.add(desk.input(a * b * c), desk.input(a * c), a, b, c, desk.output(a * b * c)),
  "add, one block": (simd, desk, { b, c }) => simd.add(desk.input(b * c), desk.input(c), 1, b, c, desk.output(b * c)),
  "add, one row": (simd, desk, { c }) => simd.add(desk.input(c), desk.input(c), 1, 1, c, desk.output(c)),
  silu: (simd, desk, { a, b }) => simd.silu(desk.input(a * b), a * b, desk.output(a * b)),
  gelu: (simd, desk, { a, b }) => simd.gelu(desk.input(a * b), a * b, desk.output(a * b)),
  erf: (simd, desk, { a, b }) => simd.erf(desk.input(a * b), a * b, desk.output(a * b)),
  siluGradient: (simd, desk, { a }) => simd.siluGradient(desk.input(a), desk.input(a), a, desk.output(a)),
  geluGradient: (simd, desk, { a }) => simd.geluGradient(desk.input(a), desk.input(a), a, desk.output(a)),
  geglu: (simd, desk, { a, b }) => simd.geglu(desk.input(2 * a * b), a, b, desk.output(a * b)),
  gegluGradient: (simd, desk, { a, b }) =>
    simd.gegluGradient(desk.input(2 * a * b), desk.input(a * b), a, b, desk.output(2 * a * b)),
  softmax: (simd, desk, { a, b }) => simd.softmax(desk.input(a * b), a, b, desk.output(a * b)),
  sumOver: (simd, desk, { a, b, c }) => simd.sumOver(desk.input(a * b * c), a, b, c, 0.5, desk.output(a * c)),
  "sumOver, of nothing": (simd, desk, { b, c }) => {
    const beside = desk.output(c);
    new Float32Array(memory.buffer, beside, c).fill(1);
    simd.sumOver(desk.input(b * c), 0, b, c, 0.5, beside);
  },
  "sumOver, all rows": (simd, desk, { b, c }) => simd.sumOver(desk.input(b * c), 1, b, c, 0.5, desk.output(c)),
  adamW: (simd, desk, { a }) => {
    // The moments are written over, so they are results as well.
    const [p, g] = [desk.input(a), desk.input(a)];
    const [m, v] = [desk.output(a), desk.output(a)];
    for (const moment of [m, v])
      new Float32Array(memory.buffer, moment, a).set(uniformValues([a], 5).values.map(Math.abs));
    simd.adamW(p, m, v, g, a, 0.99, 0.1, 0.9, 0.1, 1e-8, 0.01, desk.output(a));
  },
  movingAverage: (simd, desk, { a }) => {
    const average = desk.output(a);
    new Float32Array(memory.buffer, average, a).set(uniformValues([a], 5).values);
    simd.movingAverage(average, desk.input(a), a, 0.1, average);
  },
  batchMatMul: (simd, desk, { batch, a, b, c, odd }) => {
    const [x, y, bias, to] = [
      desk.input(batch * a * b),
      desk.input(batch * b * c),
      desk.input(c),
      desk.output(batch * a * c),
    ];
    const scratch = desk.bytes(simd.batchMatMulScratch(c, b));
    simd.batchMatMul(x, a * b, y, b * c, odd, odd ? 0 : bias, to, batch, a, c, b, scratch);
  },
  transposedMatMul: (simd, desk, { batch, a, b, c }) => {
    const [x, y, to] = [desk.input(batch * a * b), desk.input(batch * b * c), desk.output(batch * a * c)];
    const scratch = desk.bytes(simd.transposedMatMulScratch(a, c));
    simd.transposedMatMul(x, a * b, a, y, b * c, to, batch, a, c, b, scratch);
  },
  conv2d: (simd, desk, { batch, a, b, c, d, odd }) => {
    const [height, width] = [a + 2, b + 2];
    const [top, left, kernel, stride] = [odd - 1, 1, 3, 1 + odd];
    const [outHeight, outWidth] = [Math.ceil(height / stride), Math.ceil(width / stride)];
    const [x, filter] = [desk.input(batch * height * width * c), desk.input(kernel * kernel * c * d)];
    const to = desk.output(batch * outHeight * outWidth * d);
    const scratch = desk.bytes(simd.conv2dScratch(c, outHeight, outWidth, d, kernel, kernel, stride, stride));
    simd.conv2d(
      x,
      batch,
      height,
      width,
      c,
      filter,
      kernel,
      kernel,
      0,
      desk.input(d),
      to,
      outHeight,
      outWidth,
      d,
      stride,
      stride,
      top,
      left,
      scratch,
    );
  },
  conv2dFilterGradient: (simd, desk, { batch, a, b, c, d, odd }) => {
    const [height, width, kernel, stride] = [a + 2, b + 2, 3, 1 + odd];
    const [outHeight, outWidth] = [Math.ceil(height / stride), Math.ceil(width / stride)];
    const [x, dy] = [desk.input(batch * height * width * c), desk.input(batch * outHeight * outWidth * d)];
    const to = desk.output(kernel * kernel * c * d);
    const scratch = desk.bytes(
      simd.conv2dFilterGradientScratch(width, c, outHeight, outWidth, d, kernel, kernel, stride),
    );
    simd.conv2dFilterGradient(
      x,
      batch,
      height,
      width,
      c,
      c,
      dy,
      outHeight,
      outWidth,
      d,
      to,
      kernel,
      kernel,
      stride,
      stride,
      1,
      1,
      scratch,
    );
  },
  "attention and its gradient": (simd, desk, { batch, a: queries, b: keys, c: size, d: heads }) => {
    const [ofQueries, ofKeys] = [batch * queries * heads * size, batch * keys * heads * size];
    const [q, k, v, dy] = [desk.input(ofQueries), desk.input(ofKeys), desk.input(ofKeys), desk.input(ofQueries)];
    const [y, statistics] = [desk.output(ofQueries), desk.output(2 * batch * heads * queries)];
    const shape = [0, batch * heads, heads, queries, keys, size, 0.3] as const;
    simd.attention(q, k, v, ...shape, y, statistics, desk.bytes(simd.attentionScratch(queries, keys, size)));
    const [dq, dk, dv] = [desk.output(ofQueries), desk.output(ofKeys), desk.output(ofKeys)];
    const scratch = desk.bytes(simd.attentionGradientScratch(queries, keys, size));
    simd.attentionGradient(q, k, v, y, statistics, dy, ...shape, dq, dk, dv, scratch);
  },
  "group norm and its gradient": (simd, desk, { batch, a: pixels, b, c: groups, odd: silu }) => {
    const channels = b * groups;
    const count = batch * pixels * channels;
    const [x, w, b_, dy] = [desk.input(count), desk.input(channels), desk.input(channels), desk.input(count)];
    const [y, statistics] = [desk.output(count), desk.output(2 * batch * groups)];
    const scratch = desk.bytes(simd.groupNormScratch(channels));
    simd.groupNorm(x, batch, pixels, channels, channels, groups, w, b_, 1e-3, silu, y, statistics, scratch);
    const [dx, dw, db] = [desk.output(count), desk.output(channels), desk.output(channels)];
    simd.groupNormGradient(
      x,
      dy,
      batch,
      pixels,
      channels,
      channels,
      groups,
      w,
      b_,
      silu,
      statistics,
      dx,
      dw,
      db,
      scratch,
    );
  },
  "layer norm and its gradient": (simd, desk, { a: rows, b: features }) => {
    const count = rows * features;
    const [x, w, b, dy] = [desk.input(count), desk.input(features), desk.input(features), desk.input(count)];
    const [y, statistics] = [desk.output(count), desk.output(2 * rows)];
    simd.layerNorm(x, rows, features, w, b, 1e-3, y, statistics);
    const [dx, dw, db] = [desk.output(count), desk.output(features), desk.output(features)];
    const scratch = desk.bytes(simd.layerNormScratch(features));
    simd.layerNormGradient(x, dy, rows, features, w, statistics, dx, dw, db, scratch);
  },
};

function resultsOf(name: string, kernels: SimdKernels, sizes: Sizes): number[] {
  new Uint8Array(memory.buffer).fill(0xff); // NaN wherever nothing is written
  const desk = new Desk();
  WORK[name]!(kernels, desk, sizes);
  return desk.results();
}

const size = fc.integer({ min: 1, max: 13 });
const SIZES = fc.record({
  a: size,
  b: size,
  c: size,
  d: size,
  batch: fc.integer({ min: 1, max: 6 }),
  odd: fc.integer({ min: 0, max: 1 }),
});

describe("Kernels on several threads", () => {
  it.each(Object.keys(WORK))("%s: gives what one thread gives", (name) => {
    fc.assert(
      fc.property(SIZES, fc.integer({ min: 2, max: 4 }), (sizes, threads) => {
        const calls: number[] = [];
        // The threads' calls one after the other: what one leaves undone, or does twice, shows all the same.
        const run = (kernel: string, parts: readonly (readonly number[])[]) => {
          calls.push(parts.length);
          for (const part of parts) Reflect.apply(plain[kernel as keyof SimdKernels], undefined, part);
        };
        const expected = resultsOf(name, plain, sizes);
        const sums = memory.buffer.byteLength - sumsBytes(threads);
        const actual = resultsOf(name, parallelKernels(plain, { threads, run }, sums, 0), sizes);
        expect(calls.every((count) => count >= 1 && count <= threads)).toBe(true);
        expect(actual.length).toBe(expected.length);
        const largest = Math.max(...expected.map(Math.abs), 1);
        // Parts of a sum in another order: some float32 roundings of the largest.
        const wrong = actual.findIndex((value, i) => !(Math.abs(value - expected[i]!) <= 1e-5 * largest));
        expect([wrong, actual[wrong], expected[wrong]]).toEqual([-1, undefined, undefined]);
      }),
      { numRuns: 60 },
    );
  });

  it("cut all there is into parts of nearly the same size", () => {
    expect(divide(7, 3)).toEqual([
      [0, 2],
      [2, 2],
      [4, 3],
    ]);
    expect(divide(2, 4)).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect(divide(0, 4)).toEqual([[0, 0]]);
  });
});
