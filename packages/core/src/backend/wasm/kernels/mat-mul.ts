import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import type { WasmContext } from "../context.js";
import { FLOAT_BYTES } from "../memory.js";
import type { WasmTfKernel } from "./kernel.js";

/**
 * tf.matMul: a [..., m, k], b [..., k, n], each transposed in its last two axes if its flag is set, batch axes
 * broadcast -> [..., m, n].
 */
export const batchMatMul: WasmTfKernel = (wasm, stock) => (call) => {
  const { a, b } = call.inputs as { a: tf.Tensor; b: tf.Tensor };
  const { transposeA, transposeB } = call.attrs as { transposeA: boolean; transposeB: boolean };
  if (a.dtype !== "float32" || b.dtype !== "float32") return stock(call);
  const left = matrices(a, transposeA);
  const right = matrices(b, transposeB);
  if (left.columns !== right.rows) {
    throw new Error(
      `matMul: [${a.shape.join()}]${transposeA ? " transposed" : ""} has ${left.columns} columns, ` +
        `[${b.shape.join()}]${transposeB ? " transposed" : ""} has ${right.rows} rows; they must be equal.`,
    );
  }
  if (transposeA && transposeB) {
    // (b a) transposed: rare, and not worth its own loop.
    return tf.tidy(() => tf.matMul(swapLastAxes(a), b, false, true));
  }
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(left.batch, right.batch);
  const c = wasm.output([...batch, left.rows, right.columns]);
  if (sizeOf(c.shape) === 0) return c;
  const [m, n, depth] = [left.rows, right.columns, left.columns];
  for (const { aIndex, bIndex, cIndex, count, aStep, bStep } of batchRuns(left.batch, right.batch, batch)) {
    const operands = {
      a: wasm.address(a, aIndex * left.size),
      b: wasm.address(b, bIndex * right.size),
      c: wasm.address(c, cIndex * m * n),
      batch: count,
      aBatch: aStep * left.size,
      bBatch: bStep * right.size,
      m,
      n,
      depth,
    };
    if (transposeA) transposedProduct(wasm, operands);
    else product(wasm, { ...operands, isTransposed: transposeB });
  }
  return c;
};

/** Addresses of dense matrices, their sizes, and the distance from one matrix of a batch to the next (default 0). */
interface Operands {
  a: number;
  b: number;
  c: number;
  batch?: number;
  aBatch?: number;
  bBatch?: number;
  m: number;
  n: number;
  depth: number;
}

/** c [m, n] = a [m, depth] b [depth, n] + bias [n]; with `isTransposed`, b is [n, depth]. */
export function product(
  wasm: WasmContext,
  {
    a,
    b,
    c,
    batch = 1,
    aBatch = 0,
    bBatch = 0,
    m,
    n,
    depth,
    bias = 0,
    isTransposed = false,
  }: Operands & {
    bias?: number;
    isTransposed?: boolean;
  },
): void {
  const scratch = () => wasm.scratch.batchMatMulScratch(n, depth);
  const work = 2 * n * depth;
  if (batch > 1) {
    wasm.run("batchMatMul", { count: batch, work: m * work, scratch }, ({ from, size, scratch }) => [
      a + FLOAT_BYTES * aBatch * from,
      aBatch,
      b + FLOAT_BYTES * bBatch * from,
      bBatch,
      Number(isTransposed),
      bias,
      c + FLOAT_BYTES * m * n * from,
      size,
      m,
      n,
      depth,
      scratch,
    ]);
  } else {
    wasm.run("batchMatMul", { count: m, work, scratch }, ({ from, size, scratch }) => [
      a + FLOAT_BYTES * depth * from,
      aBatch,
      b,
      bBatch,
      Number(isTransposed),
      bias,
      c + FLOAT_BYTES * n * from,
      batch,
      size,
      n,
      depth,
      scratch,
    ]);
  }
}

/** Columns of a that are computed together. */
const BLOCK = 4;

/** c [m, n] = a^T b, a [depth, m], b [depth, n], as in the gradient of a weight. The work is cut by columns of a. */
export function transposedProduct(
  wasm: WasmContext,
  { a, b, c, batch = 1, aBatch = 0, bBatch = 0, m, n, depth }: Operands,
): void {
  if (batch > 1) {
    const cut = { count: batch, work: 2 * m * n * depth, scratch: () => wasm.scratch.transposedMatMulScratch(m, n) };
    wasm.run("transposedMatMul", cut, ({ from, size, scratch }) => [
      a + FLOAT_BYTES * aBatch * from,
      aBatch,
      m,
      b + FLOAT_BYTES * bBatch * from,
      bBatch,
      c + FLOAT_BYTES * m * n * from,
      size,
      m,
      n,
      depth,
      scratch,
    ]);
  } else {
    const scratch = (size: number) => wasm.scratch.transposedMatMulScratch(size, n);
    const cut = { count: m, work: 2 * n * depth, step: BLOCK, scratch };
    wasm.run("transposedMatMul", cut, ({ from, size, scratch }) => [
      a + FLOAT_BYTES * from,
      aBatch,
      m,
      b,
      bBatch,
      c + FLOAT_BYTES * n * from,
      batch,
      size,
      n,
      depth,
      scratch,
    ]);
  }
}

function swapLastAxes(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [...axes.slice(0, -2), ...axes.slice(-2).reverse()]);
}

/** A tensor as a batch of matrices, after its transposition. */
function matrices({ shape }: tf.TensorInfo, transposed: boolean) {
  const [height, width] = shape.slice(-2) as [number, number];
  return {
    batch: shape.slice(0, -2),
    size: height * width,
    rows: transposed ? width : height,
    columns: transposed ? height : width,
  };
}

/**
 * The batch as runs in which each operand either steps from matrix to matrix or stays: one run if the batch shapes are
 * equal or one of them is all ones, else one run for each matrix.
 */
function* batchRuns(a: number[], b: number[], batch: number[]) {
  const total = sizeOf(batch);
  const [aTotal, bTotal] = [sizeOf(a), sizeOf(b)];
  if ((aTotal === total || aTotal === 1) && (bTotal === total || bTotal === 1)) {
    yield { aIndex: 0, bIndex: 0, cIndex: 0, count: total, aStep: aTotal === 1 ? 0 : 1, bStep: bTotal === 1 ? 0 : 1 };
    return;
  }
  for (let cIndex = 0; cIndex < total; cIndex++) {
    const aIndex = broadcastIndex(cIndex, batch, a);
    const bIndex = broadcastIndex(cIndex, batch, b);
    yield { aIndex, bIndex, cIndex, count: 1, aStep: 0, bStep: 0 };
  }
}

/** The element of an array of `shape` that is at the flat `index` of `full`, to which the array is broadcast. */
function broadcastIndex(index: number, full: number[], shape: number[]): number {
  let result = 0;
  let stride = 1;
  for (let axis = 1; axis <= full.length; axis++) {
    const position = index % full.at(-axis)!;
    index = Math.floor(index / full.at(-axis)!);
    const size = shape.at(-axis) ?? 1;
    if (size > 1) result += position * stride;
    stride *= size;
  }
  return result;
}
