import type * as tf from "@tensorflow/tfjs";

/**
 * Expands a list with a number for each noise level to a list with a number for each call, where each step calls the
 * network at its start and at its end. The end of a step is the start of the next one, so inner levels appear twice.
 */
export function atBothEnds(numbers: readonly number[], calls: number): number[] {
  return Array.from({ length: calls }, (_, i) => numbers[Math.ceil(i / 2)]!);
}

/** The calls that begin a step of a method with two calls a step: 0, 2, 4 and so on. */
export function everySecond(calls: readonly unknown[]): number[] {
  return [...calls.keys()].filter((i) => i % 2 === 0);
}

/**
 * The tensors that the first call of a step keeps for the second.
 * @throws RangeError if there are none, because a run was resumed at the second call
 */
export function requireFirstHalf(history: readonly tf.Tensor[], count: number, i: number): readonly tf.Tensor[] {
  if (history.length < count) {
    throw new RangeError(
      `Step ${i} is the second call of a two-call step and needs the result of the first; resume at step ${i - 1}.`,
    );
  }
  return history;
}
