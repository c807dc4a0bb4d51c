import type * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import { ELEMENTWISE, type WasmContext } from "../context.js";
import type { WasmTfKernel } from "./kernel.js";

/**
 * tf.add: float32 tensors of one shape, or one whose neighbouring axes of size 1 are repeated. `stock` computes all
 * other cases.
 */
export const add: WasmTfKernel = (wasm, stock) => (call) => {
  const { a, b } = call.inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  if (a.dtype !== "float32" || b.dtype !== "float32") return stock(call);
  const [x, other] = sizeOf(a.shape) < sizeOf(b.shape) ? [b, a] : [a, b];
  const repeated = repetition(x.shape, other.shape);
  if (!repeated) return stock(call);
  const y = wasm.output(x.shape);
  addRepeated(wasm, x, other, y, repeated);
  return y;
};

/** y = x + other, x [blocks, rows, size], other [blocks, 1, size]. */
function addRepeated(
  wasm: WasmContext,
  x: tf.TensorInfo,
  other: tf.TensorInfo,
  y: tf.TensorInfo,
  { blocks, rows, size }: Repetition,
): void {
  const block = rows * size;
  if (blocks > 1 && wasm.isEven(blocks)) {
    wasm.run("add", { count: blocks, work: ELEMENTWISE * block }, (part) => [
      wasm.address(x, block * part.from),
      wasm.address(other, size * part.from),
      part.size,
      rows,
      size,
      wasm.address(y, block * part.from),
    ]);
    return;
  }
  for (let z = 0; z < blocks; z++) {
    if (rows > 1) {
      wasm.run("add", { count: rows, work: ELEMENTWISE * size }, (part) => [
        wasm.address(x, block * z + size * part.from),
        wasm.address(other, size * z),
        1,
        part.size,
        size,
        wasm.address(y, block * z + size * part.from),
      ]);
    } else {
      wasm.run("add", { count: size, work: ELEMENTWISE }, (part) => [
        wasm.address(x, block * z + part.from),
        wasm.address(other, size * z + part.from),
        1,
        1,
        part.size,
        wasm.address(y, block * z + part.from),
      ]);
    }
  }
}

type Repetition = Record<"blocks" | "rows" | "size", number>;

/** x as [blocks, rows, size] where the other shape is [blocks, 1, size], with leading axes of 1 or without. */
function repetition(x: number[], other: number[]): Repetition | undefined {
  if (other.length > x.length || sizeOf(x) === 0) return undefined;
  const full = [...Array<number>(x.length - other.length).fill(1), ...other];
  const isRepeated = full.map((size, i) => size !== x[i]);
  const first = isRepeated.indexOf(true);
  if (first === -1) return { blocks: 1, rows: 1, size: sizeOf(x) };
  const end = isRepeated.lastIndexOf(true) + 1;
  if (!full.slice(first, end).every((size) => size === 1)) return undefined;
  return { blocks: sizeOf(x.slice(0, first)), rows: sizeOf(x.slice(first, end)), size: sizeOf(x.slice(end)) };
}
