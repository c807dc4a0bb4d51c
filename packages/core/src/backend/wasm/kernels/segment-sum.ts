import type * as tf from "@tensorflow/tfjs";
import { floatsOf, integersOf, type WasmBackend } from "../memory.js";

/**
 * Adds up the rows of x that share a segment (the gradient of `gather`, so of an embedding table).
 * inputs x [N, ...], segmentIds int32 [N] -> [numSegments, ...]; ids outside [0, numSegments) are left out,
 * as on the other backends.
 */
export const unsortedSegmentSum: tf.KernelFunc = ({ inputs, attrs, backend: untyped }) => {
  const backend = untyped as WasmBackend;
  const { x, segmentIds } = inputs as { x: tf.TensorInfo; segmentIds: tf.TensorInfo };
  const { numSegments } = attrs as { numSegments: number };
  if (x.dtype !== "float32") throw new Error(`UnsortedSegmentSum on wasm: x must be float32, not ${x.dtype}.`);
  const [rows = 0, ...rest] = x.shape;
  const rowSize = rest.reduce((product, size) => product * size, 1);
  const output = backend.makeOutput([numSegments, ...rest], "float32");
  const from = floatsOf(backend, x);
  const to = floatsOf(backend, output).fill(0);
  const ids = integersOf(backend, segmentIds);
  for (let row = 0; row < rows; row++) {
    const segment = ids[row]!;
    if (segment < 0 || segment >= numSegments) continue;
    const start = segment * rowSize;
    for (let i = 0, at = row * rowSize; i < rowSize; i++, at++) to[start + i]! += from[at]!;
  }
  return output;
};
