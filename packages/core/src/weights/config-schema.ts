import type { ConfigValue } from "@tfjs-diffusion/schedulers";

/**
 * One key of a config file: its default and the values that it may have. Each class that is read from a config has one
 * table of these, from which defaults, checks and error messages come.
 */
export interface ConfigKey<Value = unknown> extends ConfigValue<Value> {
  /**
   * Lists of values: one must be given, may be given (one value for each level), or may hold lists; `accepts` then
   * looks at the items. "whole": it looks at the list. Default: no lists.
   */
  readonly lists?: "required" | "allowed" | "nested" | "whole";
}

/** The keys of a config; optional properties of its type need none. */
export type SchemaOf<Config> = {
  readonly [Name in keyof Config as object extends Pick<Config, Name> ? never : Name]: ConfigKey<Config[Name]>;
};

type Accepts = (value: unknown) => boolean;

/** A whole number of channels, layers and the like. Larger ones are mistakes, or attempts to exhaust the memory. */
export function count<Value = number>(fallback: Value, least = 1, most = 2 ** 20): ConfigKey<Value> {
  const accepts: Accepts = (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
  return { fallback, expected: `whole numbers from ${least} to ${most}`, accepts };
}

/** A number of layers. */
export const layers = <Value = number>(fallback: Value): ConfigKey<Value> => count(fallback, 0, 1000);

/** A finite number. */
export function number<Value = number>(fallback: Value): ConfigKey<Value> {
  return { fallback, expected: "a finite number", accepts: Number.isFinite };
}

/** True or false; null, as some files have it, means false. */
export function flag<Value = boolean>(fallback: Value): ConfigKey<Value> {
  return { fallback, expected: "true or false", accepts: (value) => typeof value === "boolean" || value === null };
}

/** One of the values that are supported here. */
export function oneOf<const Value, Fallback = Value>(
  fallback: Fallback,
  values: readonly Value[],
): ConfigKey<Fallback> {
  const names = values.map((value) => JSON.stringify(value)).join(", ");
  return {
    fallback,
    expected: values.length === 1 ? `${names}, which alone is supported` : `one of ${names}, which are supported`,
    accepts: (value) => values.includes(value as Value),
  };
}

/** An object, whose own keys are checked elsewhere. */
export function object<Value extends object>(fallback: Value): ConfigKey<Value> {
  const accepts: Accepts = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  return { fallback, expected: "an object", accepts };
}

/** A key that may also be null. */
export function orNull<Value>(key: ConfigKey<Value>): ConfigKey<Value> {
  return { ...key, expected: `${key.expected}, or null`, accepts: (value) => value === null || key.accepts(value) };
}

/** A list of such values. */
export function listOf<Value>(key: ConfigKey<Value>): ConfigKey<Value> {
  return { ...key, lists: "required" };
}

/** One value for all levels, or a list with one for each. */
export function perLevel<Value>(key: ConfigKey<Value>): ConfigKey<Value> {
  return { ...key, lists: "allowed" };
}

/** The same, where a level may have a list of its own. */
export function perLayer<Value>(key: ConfigKey<Value>): ConfigKey<Value> {
  return { ...key, lists: "nested" };
}

/** What is wrong with a value of a config, and what its key allows. */
export interface ConfigFlaw {
  key: string;
  /** As it is shown in errors. */
  value: string;
  expected: string;
}

/** The defaults of all keys. */
export function defaultsOf<Config>(schema: SchemaOf<Config>): Config {
  const entries = Object.entries<ConfigKey>(schema as Record<string, ConfigKey>);
  return Object.fromEntries(entries.map(([key, { fallback }]) => [key, fallback])) as Config;
}

/** The first value that its key does not allow; keys without a value are not looked at. */
export function flawOf(schema: object, values: object): ConfigFlaw | undefined {
  for (const [key, rule] of Object.entries<ConfigKey>(schema as Record<string, ConfigKey>)) {
    const value = Object.hasOwn(values, key) ? (values as Record<string, unknown>)[key] : undefined;
    const expected = value === undefined ? undefined : expectedInPlaceOf(value, rule);
    if (expected !== undefined) return { key, value: configValueShown(value), expected };
  }
  return undefined;
}

function expectedInPlaceOf(value: unknown, { expected, accepts, lists }: ConfigKey): string | undefined {
  if (lists && lists !== "whole" && Array.isArray(value)) {
    const items: unknown[] = lists === "nested" ? value.flat() : value;
    return items.length > 0 && items.every(accepts) ? undefined : expected;
  }
  // Where a list is required, null may stand for all of it, but no single value for its items.
  if (accepts(value) && (lists !== "required" || value === null)) return undefined;
  if (!lists && Array.isArray(value)) return `one value, not a list: ${expected}`;
  return lists === "required" ? `a list of ${expected}` : expected;
}

/** As many characters of a value as a person reads. */
const MOST_SHOWN = 200;

/** A value of a config in an error message; it may come from a program, and be no JSON. */
export function configValueShown(value: unknown): string {
  const text = textOf(value);
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

function textOf(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint") return value.toString();
  if (typeof value === "symbol" || typeof value === "function") return `a ${typeof value}`;
  try {
    return value === undefined ? "undefined" : JSON.stringify(value);
  } catch {
    return "an object that is no JSON";
  }
}
