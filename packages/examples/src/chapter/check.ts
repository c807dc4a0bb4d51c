import { CheckError } from "./errors.js";
import { formatNumber } from "./output.js";
import { emit } from "./sink.js";

/**
 * Shows a number beside the one it should be, and stops the chapter if they differ by more than `tolerance`.
 *
 * @throws CheckError with both numbers; RangeError for a tolerance that would let everything or nothing pass
 */
export function check(name: string, got: number, want: number, tolerance: number): void {
  if (!(tolerance >= 0 && tolerance < Infinity)) {
    throw new RangeError(
      `check "${name}": the tolerance is ${tolerance}; it must be a number from 0, the largest difference that is right.`,
    );
  }
  const difference = Math.abs(got - want);
  const passed = got === want || difference <= tolerance;
  if (!passed) {
    throw new CheckError(
      `${name}: got ${got}, want ${want}; they differ by ${formatNumber(difference)}, more than ${tolerance}.`,
    );
  }
  const margin = tolerance === 0 ? "exactly" : `± ${formatNumber(tolerance, 2)}`;
  emit({
    kind: "check",
    passed,
    text: `${name}: got ${formatNumber(got, 6)}, want ${formatNumber(want, 6)} ${margin}`,
  });
}

/** A placeholder for the reader's answer. */
export const todo: unique symbol = Symbol("todo");
export type Answer = number | typeof todo;

/**
 * Checks a reader's answer; for `todo` it only shows a reminder.
 *
 * @throws CheckError for a wrong answer; it does not give the right one away
 */
export function exercise(name: string, answer: Answer, want: number, tolerance: number): void {
  if (answer === todo) return emit({ kind: "check", passed: false, text: `${name}: your turn` });
  if (!(Math.abs(answer - want) <= tolerance)) {
    const hint = Number.isNaN(answer) ? "it is not a number" : `it is too ${answer < want ? "small" : "large"}`;
    throw new CheckError(`${name}: ${answer} is not it yet (${hint}).`);
  }
  emit({ kind: "check", passed: true, text: `${name}: ${formatNumber(answer, 6)} is right` });
}
