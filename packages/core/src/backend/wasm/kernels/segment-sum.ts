import type * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import { floatsOf, integersOf } from "../memory.js";
import type { WasmTfKernel } from "./kernel.js";

/**
 * Adds up the rows of x that share a segment (the gradient of `gather`, so of an embedding table).
 * inputs x [N, ...], segmentIds int32 [N] -> [numSegments, ...]. Ids outside [0, numSegments) are left out, as on the
 * other backends.
 */
export const unsortedSegmentSum: WasmTfKernel = (wasm) => (call) => {
  const { x, segmentIds } = call.inputs as { x: tf.TensorInfo; segmentIds: tf.TensorInfo };
  const { numSegments } = call.attrs as { numSegments: number };
  if (x.dtype !== "float32") throw new Error(`UnsortedSegmentSum on wasm: x must be float32, not ${x.dtype}.`);
  const [rows = 0, ...rest] = x.shape;
  const rowSize = sizeOf(rest);
  const output = wasm.output([numSegments, ...rest]);
  const from = floatsOf(wasm.backend, x);
  const to = floatsOf(wasm.backend, output).fill(0);
  const ids = integersOf(wasm.backend, segmentIds);
  for (let row = 0; row < rows; row++) {
    const segment = ids[row]!;
    if (segment < 0 || segment >= numSegments) continue;
    const start = segment * rowSize;
    for (let i = 0, at = row * rowSize; i < rowSize; i++, at++) to[start + i]! += from[at]!;
  }
  return output;
};
