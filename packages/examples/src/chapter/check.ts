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
  if (!(got === want || difference <= tolerance)) {
    throw new CheckError(
      `${name}: got ${got}, want ${want}; they differ by ${formatNumber(difference)}, more than ${tolerance}.`,
    );
  }
  const margin = tolerance === 0 ? "exactly" : `± ${formatNumber(tolerance, 2)}`;
  emit({
    kind: "check",
    text: `${name}: got ${formatNumber(got, 6)}, want ${formatNumber(want, 6)} ${margin}`,
  });
}
