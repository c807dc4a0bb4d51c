import { type ConfigKey, configValueShown, defaultsOf, flawOf, type SchemaOf } from "../weights/config-schema.js";
import { ModelConfigError } from "./errors.js";

/** Keys of public config files that do not affect the result. */
const HARMLESS = new Set([
  "architectures",
  "dtype",
  "torch_dtype",
  "transformers_version",
  "model_type",
  "sample_size",
  "dropout",
  "attention_dropout",
  "upcast_attention",
]);

/** More levels than any network has. */
const MOST_LEVELS = 64;

/**
 * Fills in a config file's defaults, and checks its values against the keys of its class. An unknown key is refused,
 * since it may change the result, unless it is switched off (null or false), private (`_…`) or known to be harmless.
 * Harmless keys are kept, so that a saved config has all keys of the loaded one.
 *
 * @param harmless keys without a rule that do not affect the result, besides those of all classes
 * @throws ModelConfigError that names the key, its value and what is expected
 */
export function resolveConfig<Config extends object>(
  className: string,
  given: Partial<Config>,
  schema: SchemaOf<Config>,
  harmless: readonly string[] = [],
): Config {
  if (typeof given !== "object" || given === null) {
    throw new ModelConfigError(`${className}: the config is ${configValueShown(given)}; expected an object.`);
  }
  const defaults = defaultsOf<Config>(schema);
  const { _class_name: wanted } = defaults as { _class_name?: unknown };
  const { _class_name: named = wanted } = given as { _class_name?: unknown };
  if (wanted !== undefined && named !== wanted) {
    throw new ModelConfigError(
      `${className}: this is the config of a ${configValueShown(named)}; loadModel and modelFromConfig take the class it names.`,
    );
  }
  for (const [key, value] of Object.entries(given)) {
    const isKnown = Object.hasOwn(schema, key) || key.startsWith("_") || HARMLESS.has(key) || harmless.includes(key);
    if (!isKnown && value !== null && value !== false && value !== undefined) {
      throw new ModelConfigError(
        `${className}: the config key "${key}" (${configValueShown(value)}) is unknown and may change the result. ` +
          "Remove it if it does not matter to this model.",
      );
    }
  }
  const config = { ...defaults, ...definedEntries(given) };
  for (const [key, { lists }] of Object.entries<ConfigKey>(schema as Record<string, ConfigKey>)) {
    const value: unknown = config[key as keyof Config];
    if (!Array.isArray(value) || lists === "whole" || value.length <= MOST_LEVELS) continue;
    throw new ModelConfigError(`${className}: ${key} has ${value.length} entries; at most ${MOST_LEVELS} are allowed.`);
  }
  const flaw = flawOf(schema, config);
  if (!flaw) return config;
  throw new ModelConfigError(`${className}: ${flaw.key} = ${flaw.value}; expected ${flaw.expected}.`);
}

function definedEntries(given: object): object {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** One value per level: repeats a single value, checks the length of a list. */
export function eachLevel<T>(className: string, key: string, value: T | readonly T[], levels: number): T[] {
  if (!Array.isArray(value)) return Array<T>(levels).fill(value as T);
  if (value.length !== levels) {
    throw new ModelConfigError(
      `${className}: ${key} has ${value.length} entries, but down_block_types and block_out_channels have ${levels}; one per level is needed.`,
    );
  }
  return [...value];
}
