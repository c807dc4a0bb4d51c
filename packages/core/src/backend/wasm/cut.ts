import type { SimdFunctions } from "./simd-binary.js";

/** Threads that call SIMD functions. */
export interface Threads {
  /** Number of threads, including the calling one. */
  readonly count: number;
  /**
   * Calls the function `name` once for each list of arguments, at most `count` lists; returns when all calls have
   * ended.
   */
  run(name: string, calls: readonly (readonly number[])[]): void;
}

/** Makes the calls for `count` threads one after the other, on the calling thread. */
export function inTurn(functions: SimdFunctions, count: number): Threads {
  const run = (name: string, calls: readonly (readonly number[])[]) => {
    for (const values of calls) Reflect.apply(functions[name as keyof SimdFunctions], undefined, values);
  };
  return { count, run };
}

/** How a call is cut into parts for threads. */
export interface Cut {
  /** The number of items that can be computed independently: pictures, rows or numbers. */
  count: number;
  /** Floating-point operations per item. */
  work: number;
  /** Parts begin at multiples of this; default 1. */
  step?: number;
  /** Bytes of scratch memory that a part of `size` items needs. */
  scratch?: (size: number) => number;
}

/** The items `from`, `from + 1`, ... `from + size - 1`, and the address of the scratch memory of their part. */
export interface Part {
  from: number;
  size: number;
  scratch: number;
}

/** `count` items as at most `most` parts of nearly the same size; one empty part if there are no items. */
export function partsOf({ count, step = 1 }: Cut, most: number): { from: number; size: number }[] {
  const steps = Math.ceil(count / step);
  const parts = Math.max(1, Math.min(most, steps));
  const bound = (i: number) => Math.min(count, step * Math.floor((i * steps) / parts));
  return Array.from({ length: parts }, (_, i) => ({ from: bound(i), size: bound(i + 1) - bound(i) }));
}
