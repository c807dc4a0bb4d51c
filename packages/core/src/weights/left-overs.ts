import { warn } from "../platform/warn.js";
import { WeightsMismatchError } from "./errors.js";

/** Longer lists of names are not useful. */
const MOST_NAMES = 10;

/** Names for a message: at most ten, and how many more there are. */
export function someNames(names: readonly string[]): string {
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  return `${names.slice(0, MOST_NAMES).join(", ")}${more}`;
}

/**
 * Lists the unused tensors of a file in one warning.
 *
 * @throws WeightsMismatchError in place of the warning, if `strict`
 */
export function tellLeftOvers(file: string, names: readonly string[], strict = false): void {
  if (names.length === 0) return;
  const found = `${file}: ${names.length} of its tensors have no use: ${someNames(names)}.`;
  if (strict) throw new WeightsMismatchError(`${found} Leave out { strict: true } to do without them.`);
  warn(found);
}
