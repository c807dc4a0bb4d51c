import type * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../platform/size-of.js";
import { addressOf, FLOAT_BYTES, type WasmBackend, withScratch } from "./memory.js";
import type { SimdFunctions } from "./simd-binary.js";
import { type Cut, type Part, partsOf, type Threads } from "./cut.js";

type ScratchName = Extract<keyof SimdFunctions, `${string}Scratch`>;

/** Functions that are called in parts, one per thread. */
export type ParallelName = Exclude<keyof SimdFunctions, ScratchName | "copyRows">;

/** Calls with fewer operations are not cut: a few microseconds of work, less than the cost of a second thread. */
const LEAST_WORK = 200_000;

/**
 * Operations to count for a number that is read and written once: nothing is multiplied, but memory is read and perhaps
 * an exponential is computed.
 */
export const ELEMENTWISE = 20;

/**
 * The tools of a kernel: the addresses of tensors in the backend's memory, new tensors, and the SIMD functions. SIMD
 * functions that compute can only be called by {@link run} and {@link runAndSum}, which cut each call into one part per
 * thread.
 */
export class WasmContext {
  /** Bytes of scratch memory that the functions need. */
  readonly scratch: Pick<SimdFunctions, ScratchName>;
  /** copyRows(from, fromRow, to, toRow, bytes, rows), on one thread: more would wait for the memory. */
  readonly copyRows: SimdFunctions["copyRows"];

  constructor(
    readonly backend: WasmBackend,
    private readonly simd: SimdFunctions,
    private readonly threads: Threads,
    private readonly leastWork = LEAST_WORK,
  ) {
    this.scratch = simd;
    this.copyRows = simd.copyRows;
  }

  /** Address of element `index` of a tensor; 0 if there is no tensor. */
  address(tensor: tf.TensorInfo | undefined, index = 0): number {
    return tensor ? addressOf(this.backend, tensor) + FLOAT_BYTES * index : 0;
  }

  /** A new tensor with uninitialized values. */
  output(shape: number[], dtype: "float32" | "int32" = "float32"): tf.TensorInfo {
    return this.backend.makeOutput(shape, dtype);
  }

  /** Another tensor that shares the data. */
  share({ dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo {
    this.backend.incRef(dataId);
    return { dataId, shape, dtype };
  }

  /** Whether other tensors share the data, such as clones and reshaped tensors. */
  isShared({ dataId }: tf.TensorInfo): boolean {
    return this.backend.refCount(dataId) > 1;
  }

  copy(tensor: tf.TensorInfo): tf.TensorInfo {
    const copy = this.output(tensor.shape);
    this.copyRows(this.address(tensor), 0, this.address(copy), 0, FLOAT_BYTES * sizeOf(tensor.shape), 1);
    return copy;
  }

  /** Whether `count` items split into parts of nearly the same size, one per thread. */
  isEven(count: number): boolean {
    const { count: threads } = this.threads;
    return count % threads === 0 || count >= 4 * threads;
  }

  /** Calls a SIMD function on all threads. `argumentsOf` gives the arguments of one part of the cut. */
  run<Name extends ParallelName>(name: Name, cut: Cut, argumentsOf: (part: Part) => Arguments<Name>): void {
    if (this.#isWhole(cut)) this.#callWhole(name, cut, argumentsOf);
    else this.#callParts(name, partsOf(cut, this.threads.count), cut, argumentsOf);
  }

  /**
   * The same for a function that also sums over the items that are cut: each part gets its own memory for its sums,
   * which are added up afterwards. `sums` are the addresses of the results, of `length` numbers each.
   */
  runAndSum<Name extends ParallelName>(
    name: Name,
    cut: Cut,
    { sums, length }: { sums: readonly number[]; length: number },
    argumentsOf: (part: Part, sums: readonly number[]) => Arguments<Name>,
  ): void {
    if (this.#isWhole(cut)) return this.#callWhole(name, cut, (part) => argumentsOf(part, sums));
    const parts = partsOf(cut, this.threads.count);
    const bytes = FLOAT_BYTES * length;
    withScratch(this.backend, sums.length * parts.length * bytes, (scratch) => {
      const sumsOf = (part: number) => sums.map((_, i) => scratch + (i * parts.length + part) * bytes);
      this.#callParts(name, parts, cut, (part, i) => argumentsOf(part, sumsOf(i)));
      sumsOf(0).forEach((from, i) => this.simd.sumOver(from, 1, parts.length, length, 1, sums[i]!));
    });
  }

  /** Whether the call is not worth a second thread. */
  #isWhole({ count, work, step = 1 }: Cut): boolean {
    return this.threads.count === 1 || count * work < this.leastWork || count <= step;
  }

  /** Runs on this thread. A network makes a thousand of these calls, so no lists of parts are built. */
  #callWhole<Name extends ParallelName>(
    name: Name,
    { count, scratch }: Cut,
    argumentsOf: (part: Part) => Arguments<Name>,
  ): void {
    const call = this.simd[name] as (...values: Arguments<Name>) => void;
    if (!scratch) call(...argumentsOf({ from: 0, size: count, scratch: 0 }));
    else {
      withScratch(this.backend, scratch(count), (scratch) => call(...argumentsOf({ from: 0, size: count, scratch })));
    }
  }

  #callParts<Name extends ParallelName>(
    name: Name,
    parts: readonly Omit<Part, "scratch">[],
    { scratch }: Cut,
    argumentsOf: (part: Part, i: number) => Arguments<Name>,
  ): void {
    const call = (addressOf: (part: number) => number) =>
      this.threads.run(
        name,
        parts.map(({ from, size }, i) => argumentsOf({ from, size, scratch: addressOf(i) }, i)),
      );
    if (!scratch) return call(() => 0);
    const bytes = apart(scratch(Math.max(...parts.map(({ size }) => size))));
    withScratch(this.backend, parts.length * bytes, (first) => call((part) => first + part * bytes));
  }
}

type Arguments<Name extends ParallelName> = Parameters<SimdFunctions[Name]>;

/** At least `bytes` and two cache lines, so that no two threads write to neighbouring lines. */
function apart(bytes: number): number {
  return Math.ceil(bytes / 128 + 1) * 128;
}
