import type * as tf from "@tensorflow/tfjs";

/** Each number once for every call of a two-call method: all but the first, and but the last unless asked, twice. */
export function repeatInner(numbers: readonly number[], lastToo?: "last too"): number[] {
  return numbers.flatMap((x, i) => (i === 0 || (i === numbers.length - 1 && !lastToo) ? [x] : [x, x]));
}

/** The calls that begin a step of a method with two calls a step: 0, 2, 4 and so on. */
export function everySecond(calls: readonly unknown[]): number[] {
  return [...calls.keys()].filter((i) => i % 2 === 0);
}

/** What the first call of a step left for the second. */
export function requireFirstHalf(history: readonly tf.Tensor[], count: number, i: number): readonly tf.Tensor[] {
  if (history.length < count) {
    throw new RangeError(
      `Step ${i} is the second call of a two-call step and needs what the first one left; resume at step ${i - 1}.`,
    );
  }
  return history;
}
