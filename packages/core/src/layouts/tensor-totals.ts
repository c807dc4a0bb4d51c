import { dtypeBits } from "../weights/dtypes.js";
import type { TensorInfo } from "../weights/safetensors-header.js";

/** Counts and sizes of a set of tensors. */
export interface TensorTotals {
  tensors: number;
  /** Number of elements of all tensors together. */
  parameters: number;
  bytes: number;
  /** Number of elements of each dtype, the most frequent first. */
  dtypes: Partial<Record<TensorInfo["dtype"], number>>;
}

/** Adds up the counts and sizes of tensors. */
export function totalsOf(infos: Iterable<TensorInfo>): TensorTotals {
  const counts = new Map<TensorInfo["dtype"], number>();
  let [tensors, bytes] = [0, 0];
  for (const { dtype, shape } of infos) {
    const size = shape.reduce((product, count) => product * count, 1);
    counts.set(dtype, (counts.get(dtype) ?? 0) + size);
    bytes += (size * dtypeBits(dtype)) / 8;
    tensors++;
  }
  const parameters = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return { tensors, parameters, bytes, dtypes: Object.fromEntries([...counts].sort(([, a], [, b]) => b - a)) };
}
