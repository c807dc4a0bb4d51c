import { nearestNote } from "./nearest-names.js";

/** A class of errors for options. */
type OptionFailure = new (message: string) => Error;

/** So that `numInferenceSteps` is found for `num_inference_steps`. */
const spelling = (name: string) => name.replaceAll("_", "").toLowerCase();

/**
 * Refuses options that a function does not have. JavaScript callers have no type checker: without this check a misspelt
 * option would silently mean its default.
 *
 * @param of the function or the object, as the message names it: "loadModel", "control"
 * @param known the names of its options
 * @param Failure the class of the error, which gives the nearest known name. Default RangeError
 */
export function requireKnownOptions(
  of: string,
  given: object,
  known: readonly string[],
  Failure: OptionFailure = RangeError,
): void {
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const sorted = [...known].sort();
  const names = unknown.map((name) => `${name}${nearestNote(name, sorted, { spelling })}`).join(", ");
  throw new Failure(`${names}: not an option of ${of}; its options are ${sorted.join(", ")}.`);
}

/** The names of options, complete by their type: `optionNames<Options>()({ scale: true, name: true })`. */
export function optionNames<Options>() {
  return (names: { [Name in keyof Required<Options>]: true }): readonly string[] => Object.keys(names);
}
