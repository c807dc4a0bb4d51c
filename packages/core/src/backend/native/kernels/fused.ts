import type { Raw } from "../binding.js";
import type { RawOps } from "../raw.js";

/** A fused kernel: inputs by name and attributes -> results. */
export type NativeKernel<Inputs extends string, Attributes = object> = (
  ops: RawOps,
  inputs: Record<Inputs, Raw>,
  attributes: Attributes,
) => Raw[];

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
