import { requireKnownOptions } from "../../platform/known-options.js";
import { PipelineOptionError } from "./errors.js";
import { type OptionTable, type ReadOptions, requireValue } from "./option.js";

/**
 * Checks a caller's options against a table, fills in the defaults, and renames options with an older name.
 *
 * JavaScript callers have no type checker: without this check a misspelt option would silently mean its default.
 *
 * @throws PipelineOptionError if the options are not an object, for unknown names (the message gives the nearest known
 *   name), and for values that the table does not allow
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
        `${name}, ${target}: both are given, but ${name} is an older name of ${target}; give only ${target}.`,
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
  requireKnownOptions("this pipeline", given, Object.keys(table), PipelineOptionError);
}
