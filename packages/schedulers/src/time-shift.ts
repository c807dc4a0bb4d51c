import type { Settings } from "./config.js";
import { SchedulerConfigError } from "./errors.js";

/**
 * Moves flow noise levels up, because the same noise hides less of a larger picture (Esser et al. 2024, eq. 23): s ->
 * shift s / (1 + (shift - 1) s). With use_dynamic_shifting the shift is given with the plan: e^mu, or mu itself if
 * time_shift_type is "linear". With shift_terminal the levels are stretched to end at that value.
 * @throws RangeError if mu is missing, or is given without use_dynamic_shifting
 */
export function timeShift(sigmas: readonly number[], settings: Settings, shift: number, mu?: number): number[] {
  const { use_dynamic_shifting, time_shift_type, shift_terminal } = settings;
  if (use_dynamic_shifting && mu === undefined) {
    throw new SchedulerConfigError(
      "plan: use_dynamic_shifting needs mu; give plan(steps, { mu }), computed from the picture's size.",
    );
  }
  if (mu !== undefined && !use_dynamic_shifting) {
    throw new SchedulerConfigError(
      "plan: mu is given, but use_dynamic_shifting is false; leave mu out, or set use_dynamic_shifting.",
    );
  }
  const factor = use_dynamic_shifting ? (time_shift_type === "linear" ? mu! : Math.exp(mu!)) : shift;
  const shifted = sigmas.map((s) => (factor * s) / (1 + (factor - 1) * s));
  if (!shift_terminal) return shifted;
  const stretch = (1 - shifted.at(-1)!) / (1 - shift_terminal);
  if (stretch === 0) return shifted; // The only level of a single step is pure noise and stays unchanged.
  return shifted.map((s) => 1 - (1 - s) / stretch);
}
