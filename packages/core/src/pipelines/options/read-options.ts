import { nearestNames } from "../../platform/nearest-names.js";
import { PipelineOptionError } from "./errors.js";
import { type OptionTable, type ReadOptions, requireValue } from "./option.js";

/**
 * Checks the options that a caller gave against a table, fills in the defaults, and moves what was given by an older
 * name to the present one.
 *
 * Plain JavaScript has nobody else to say that an option is misspelt, and a default in its place looks like a result.
 *
 * @throws PipelineOptionError for what is not an object, names that are not in the table, with the nearest that is, and
 *   values that are not what the table expects
 */
export function readOptions<T extends OptionTable>(given: object, table: T): ReadOptions<T> {
  requireKnownNames(given, table);
  const values = Object.fromEntries(
    Object.entries(table).flatMap(([name, option]) => ("default" in option ? [[name, option.default]] : [])),
  );
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const option = table[name]!;
    const { synonymOf: target = name } = option;
    if (target !== name && (given as Record<string, unknown>)[target] !== undefined) {
      throw new PipelineOptionError(
        `${name}, ${target}: both are given, and the one is another name of the other; give ${target}.`,
      );
    }
    values[target] = requireValue(name, value, option);
  }
  return values as ReadOptions<T>;
}

function requireKnownNames(given: unknown, table: OptionTable): void {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    const example = "prompt" in table ? '{ prompt: "a boat" }' : `{ ${Object.keys(table)[0]} }`;
    throw new PipelineOptionError(
      `options: ${JSON.stringify(given) ?? "undefined"}; give an object, such as ${example}.`,
    );
  }
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(table, name));
  if (unknown.length === 0) return;
  const known = Object.keys(table).sort();
  const told = unknown.map((name) => `${name}${nearest(name, known)}`).join(", ");
  throw new PipelineOptionError(`${told}: no option of this pipeline; it takes ${known.join(", ")}.`);
}

/** `num_inference_steps` is meant as `numInferenceSteps` is spelt: letters count, not case and underlines. */
function nearest(name: string, known: readonly string[]): string {
  const spelling = (text: string) => text.replaceAll("_", "").toLowerCase();
  const [best] = nearestNames(name, known, { spelling });
  return best === undefined ? "" : ` (nearest: ${best})`;
}
