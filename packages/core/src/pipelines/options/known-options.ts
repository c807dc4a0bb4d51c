import { distance } from "fastest-levenshtein";
import { PipelineOptionError } from "./errors.js";
import { requireCallables } from "./option-checks.js";

/** The names of a pipeline's options: TypeScript sees that none is missing and none too many. */
export type OptionNames<O> = Readonly<Record<keyof O, true>>;

/**
 * Plain JavaScript has nobody else to say that an option is misspelt, and a default that goes on in its place looks
 * like a result.
 *
 * @throws PipelineOptionError for options that are none, names that are not among `names`, with the nearest that is,
 *   and what cannot be called but will be
 */
export function requireKnownOptions<O extends object>(options: O, names: OptionNames<O>): void {
  if (typeof options !== "object" || (options as O | null) === null || Array.isArray(options)) {
    throw new PipelineOptionError(
      `options: ${JSON.stringify(options) ?? "undefined"}; give an object, such as ${example(names)}.`,
    );
  }
  const known = Object.keys(names);
  const unknown = Object.keys(options).filter((name) => !(name in names));
  if (unknown.length === 0) return requireCallables(options);
  const told = unknown.map((name) => `${name}${nearest(name, known)}`).join(", ");
  throw new PipelineOptionError(`${told}: no option of this pipeline; it takes ${known.sort().join(", ")}.`);
}

function example(names: object): string {
  return "prompt" in names ? '{ prompt: "a boat" }' : `{ ${Object.keys(names)[0]} }`;
}

/** `num_inference_steps` is meant as `numInferenceSteps` is spelt: letters count, not case and underlines. */
function nearest(name: string, known: readonly string[]): string {
  const plain = (text: string) => text.replaceAll("_", "").toLowerCase();
  const far = (other: string) => distance(plain(name), plain(other));
  const best = known.reduce((a, b) => (far(b) < far(a) ? b : a));
  return far(best) <= name.length / 3 ? ` (nearest: ${best})` : "";
}
