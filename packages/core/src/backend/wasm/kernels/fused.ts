import type * as tf from "@tensorflow/tfjs";
import { addressOf, type WasmBackend, withScratch } from "../memory.js";
import type { SimdKernels } from "../simd-kernels.js";

/** What the fused kernels here have in common: where tensors lie, and new ones. */
export class Place {
  constructor(
    readonly simd: SimdKernels,
    readonly backend: WasmBackend,
  ) {}

  /** Address of a tensor; 0 for none. */
  at(tensor: tf.TensorInfo | undefined): number {
    return tensor ? addressOf(this.backend, tensor) : 0;
  }

  make(shape: number[]): tf.TensorInfo {
    return this.backend.makeOutput(shape, "float32");
  }

  /** The same values as a result, without a copy. */
  again({ dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo {
    this.backend.incRef(dataId);
    return { dataId, shape, dtype };
  }

  /** Whether other tensors have the same data, as clones and reshaped ones do. */
  isShared({ dataId }: tf.TensorInfo): boolean {
    return this.backend.refCount(dataId) > 1;
  }

  copy(tensor: tf.TensorInfo): tf.TensorInfo {
    const copy = this.make(tensor.shape);
    this.simd.copyRows(this.at(tensor), 0, this.at(copy), 0, 4 * sizeOf(tensor.shape), 1);
    return copy;
  }

  withScratch(bytes: number, use: (address: number) => void): void {
    withScratch(this.backend, bytes, use);
  }
}

/** A fused kernel: inputs by name and attributes -> results. */
export type FusedKernel<Inputs extends string, Attributes = object> = (
  place: Place,
  inputs: Record<Inputs, tf.TensorInfo>,
  attributes: Attributes,
) => tf.TensorInfo[];

export function sizeOf(shape: number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
