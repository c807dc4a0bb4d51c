import type * as tf from "@tensorflow/tfjs";

/**
 * A number per noise level, spread over calls at the start and the end of each step: the level that a step ends at is
 * the one that the next begins at, and gets two calls.
 */
export function atBothEnds(numbers: readonly number[], calls: number): number[] {
  return Array.from({ length: calls }, (_, i) => numbers[Math.ceil(i / 2)]!);
}

/** The calls that begin a step of a method with two calls a step: 0, 2, 4 and so on. */
export function everySecond(calls: readonly unknown[]): number[] {
  return [...calls.keys()].filter((i) => i % 2 === 0);
}

/** The tensors that the first call of a step leaves for the second. */
export function requireFirstHalf(history: readonly tf.Tensor[], count: number, i: number): readonly tf.Tensor[] {
  if (history.length < count) {
    throw new RangeError(
      `Step ${i} is the second call of a two-call step and needs what the first one left; resume at step ${i - 1}.`,
    );
  }
  return history;
}
