import type { SimdFunctions } from "./simd-binary.js";

/** Threads that call SIMD functions. */
export interface Threads {
  /** The calling one included. */
  readonly count: number;
  /** Calls the function `name` once with each of some arguments, at most `count`; returns when all have ended. */
  run(name: string, calls: readonly (readonly number[])[]): void;
}

/** Makes the calls for `count` threads one after the other, on the thread that asks for them. */
export function inTurn(functions: SimdFunctions, count: number): Threads {
  const run = (name: string, calls: readonly (readonly number[])[]) => {
    for (const values of calls) Reflect.apply(functions[name as keyof SimdFunctions], undefined, values);
  };
  return { count, run };
}

/** How a call is cut for threads. */
export interface Cut {
  /** Things that can be computed apart from each other: pictures, rows or numbers. */
  count: number;
  /** Floating-point operations for each. */
  work: number;
  /** Parts begin at multiples of this; default 1. */
  step?: number;
  /** Bytes of scratch memory that a part of `size` things needs. */
  scratch?: (size: number) => number;
}

/** The things `from`, `from + 1`, ... `from + size - 1`, and where the scratch memory of their part begins. */
export interface Part {
  from: number;
  size: number;
  scratch: number;
}

/** `count` things as at most `most` parts of nearly the same size; one empty part of no things. */
export function partsOf({ count, step = 1 }: Cut, most: number): { from: number; size: number }[] {
  const steps = Math.ceil(count / step);
  const parts = Math.max(1, Math.min(most, steps));
  const bound = (i: number) => Math.min(count, step * Math.floor((i * steps) / parts));
  return Array.from({ length: parts }, (_, i) => ({ from: bound(i), size: bound(i + 1) - bound(i) }));
}
