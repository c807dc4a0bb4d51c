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

/** Supported values of keys for which not all values are implemented; for a list, the values of its items. */
export type SupportedValues<Config> = {
  readonly [Key in keyof Config]?: readonly (Config[Key] extends readonly (infer Item)[] ? Item : Config[Key])[];
};

/** What a class declares about its config besides the defaults. */
export interface ConfigRules<Config> {
  supported?: SupportedValues<Config>;
  /** Keys with a single value that may also be a list with one value per level. */
  perLevel?: readonly (keyof Config)[];
  /** Keys without defaults that do not affect the result, besides those of all classes. */
  harmless?: readonly string[];
}

/**
 * Fills in a config file's defaults. An unknown key is refused, since it may change the result, unless it is switched
 * off (null or false), private (`_…`) or known to be harmless. Harmless keys are kept, so that a saved config has all
 * keys of the loaded one.
 */
export function resolveConfig<Config extends object>(
  className: string,
  given: Partial<Config>,
  defaults: Config,
  { supported = {}, perLevel = [], harmless = [] }: ConfigRules<Config> = {},
): Config {
  if (typeof given !== "object" || given === null) {
    throw new ModelConfigError(`${className}: the config is ${JSON.stringify(given)}; expected an object.`);
  }
  const { _class_name: wanted } = defaults as { _class_name?: string };
  const { _class_name: named = wanted } = given as { _class_name?: string };
  if (wanted !== undefined && named !== wanted) {
    throw new ModelConfigError(
      `${className}: this is the config of a ${named}; loadModel and modelFromConfig take the class it names.`,
    );
  }
  for (const [key, value] of Object.entries(given)) {
    const isKnown = Object.hasOwn(defaults, key) || key.startsWith("_") || HARMLESS.has(key) || harmless.includes(key);
    if (!isKnown && value !== null && value !== false && value !== undefined) {
      throw new ModelConfigError(
        `${className}: the config key "${key}" (${JSON.stringify(value)}) is unknown and may change the result. ` +
          "Remove it if it does not matter to this model.",
      );
    }
  }
  const config = { ...defaults, ...definedEntries(given) };
  for (const [key, fallback] of Object.entries(defaults)) {
    const value: unknown = config[key as keyof Config];
    if (!perLevel.includes(key as keyof Config)) requireOne(className, key, value, fallback);
    requireSizes(className, key, value, fallback);
    requireKind(className, key, value, fallback);
  }
  for (const [key, values] of Object.entries(supported) as [keyof Config & string, readonly unknown[]][]) {
    for (const value of [config[key]].flat()) {
      if (values.includes(value)) continue;
      throw new ModelConfigError(
        `${className}: ${key} = ${JSON.stringify(value)} is not supported; ` +
          `supported: ${values.map((value) => JSON.stringify(value)).join(", ")}.`,
      );
    }
  }
  return config;
}

/** Keys that count channels, layers, heads or tokens. */
const SIZE = /(_channels|_size|_dim|_groups|_heads|_kernel|_embeds|_embeddings|_tokens|_layers|layers_per_block)$/;
/** Larger numbers are mistakes, or attempts to exhaust the memory. */
const MOST = 2 ** 20;
const MOST_LAYERS = 1000;
const MOST_LEVELS = 64;

/** Refuses a size that is not a whole number in a sensible range, or a required one that is missing. */
function requireSizes(className: string, key: string, value: unknown, fallback: unknown): void {
  if (!SIZE.test(key)) return;
  const [least, most] = key.includes("layers") ? [0, MOST_LAYERS] : [1, MOST];
  const sizes = [value].flat(2);
  if (sizes.length > MOST_LEVELS) {
    throw new ModelConfigError(`${className}: ${key} has ${sizes.length} entries; at most ${MOST_LEVELS} are allowed.`);
  }
  const isFine = (size: unknown) =>
    size === null
      ? fallback === null || key === "attention_head_dim"
      : typeof size === "number" && Number.isInteger(size) && size >= least && size <= most;
  if (sizes.length > 0 && sizes.every(isFine)) return;
  throw new ModelConfigError(
    `${className}: ${key} = ${JSON.stringify(value)}; expected whole numbers from ${least} to ${most}.`,
  );
}

/** Refuses a list for a key that has one value for the whole network. */
function requireOne(className: string, key: string, value: unknown, fallback: unknown): void {
  if (!Array.isArray(value) || (typeof fallback !== "number" && typeof fallback !== "boolean")) return;
  throw new ModelConfigError(
    `${className}: ${key} = ${JSON.stringify(value)}; expected one value for all levels, not a list.`,
  );
}

/** Refuses values of another type in place of a number or a boolean; the items of lists are checked too. */
function requireKind(className: string, key: string, value: unknown, fallback: unknown): void {
  const kind = typeof fallback;
  if (kind !== "number" && kind !== "boolean") return;
  // null stands for "off", which a number that counts nothing cannot be.
  const mayBeNull = kind === "boolean" || SIZE.test(key);
  const isFine = (item: unknown) =>
    item === null ? mayBeNull : typeof item === kind && (kind === "boolean" || Number.isFinite(item));
  if ([value].flat(2).every(isFine)) return;
  throw new ModelConfigError(
    `${className}: ${key} = ${JSON.stringify(value)}; expected ${kind === "number" ? "a finite number" : "true or false"}.`,
  );
}

function definedEntries(given: object): object {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** One value per level: repeats a single value, checks the length of a list. */
export function perLevel<T>(className: string, key: string, value: T | readonly T[], levels: number): T[] {
  if (!Array.isArray(value)) return Array<T>(levels).fill(value as T);
  if (value.length !== levels) {
    throw new ModelConfigError(
      `${className}: ${key} has ${value.length} entries, but down_block_types and block_out_channels have ${levels}; one per level is needed.`,
    );
  }
  return [...value];
}
