import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "./fused.js";
import { addressOf, type WasmBackend, withScratch } from "../memory.js";
import type { SimdKernels } from "../simd-kernels.js";

/**
 * tf.matMul: a [..., m, k], b [..., k, n], each transposed in its last two axes where its flag says so,
 * batch axes broadcast -> [..., m, n].
 */
export function batchMatMul(simd: SimdKernels, stock: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
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
      // (b a) transposed: rare, and not worth a loop of its own.
      return tf.tidy(() => tf.matMul(swapLastAxes(a), b, false, true));
    }
    const batch = tf.broadcast_util.assertAndGetBroadcastShape(left.batch, right.batch);
    const c = backend.makeOutput([...batch, left.rows, right.columns], "float32");
    if (sizeOf(c.shape) === 0) return c;
    const [m, n, depth] = [left.rows, right.columns, left.columns];
    const bytes = transposeA ? simd.transposedMatMulScratch(m, n) : simd.batchMatMulScratch(n, depth);
    withScratch(backend, bytes, (scratch) => {
      for (const { aIndex, bIndex, cIndex, count, aStep, bStep } of batchRuns(left.batch, right.batch, batch)) {
        const aFrom = addressOf(backend, a) + 4 * aIndex * left.size;
        const bFrom = addressOf(backend, b) + 4 * bIndex * right.size;
        const to = addressOf(backend, c) + 4 * cIndex * m * n;
        const [aBatch, bBatch] = [aStep * left.size, bStep * right.size];
        if (transposeA) simd.transposedMatMul(aFrom, aBatch, m, bFrom, bBatch, to, count, m, n, depth, scratch);
        else simd.batchMatMul(aFrom, aBatch, bFrom, bBatch, Number(transposeB), 0, to, count, m, n, depth, scratch);
      }
    });
    return c;
  };
}

function swapLastAxes(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [...axes.slice(0, -2), ...axes.slice(-2).reverse()]);
}

/** A tensor as a batch of matrices, seen through its transposition. */
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
 * The batch as runs in which each operand either steps from matrix to matrix or stays: one run where the batch
 * shapes are equal or one of them is all ones, else one for each matrix.
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

/** The element of an array of `shape` that stands at the flat `index` of `full`, to which it is broadcast. */
function broadcastIndex(index: number, full: number[], shape: number[]): number {
  let result = 0;
  let stride = 1;
  for (let axis = 1; axis <= full.length; axis++) {
    const place = index % full.at(-axis)!;
    index = Math.floor(index / full.at(-axis)!);
    const size = shape.at(-axis) ?? 1;
    if (size > 1) result += place * stride;
    stride *= size;
  }
  return result;
}
