import { parseArgs, type ParseArgsConfig } from "node:util";
import { nearestNames } from "@tfjs-diffusion/core/text";
import { UsageError } from "./usage-error.js";

type Options = NonNullable<ParseArgsConfig["options"]>;

/**
 * Splits a command line into options and words. The values of `more` options are in the result, too, without a type.
 *
 * @throws UsageError for an unknown option, or one without its value
 */
export function parseOptions<O extends Options>(
  args: string[],
  options: O,
  more: Options = {},
): ReturnType<typeof parseArgs<{ args: string[]; allowPositionals: true; options: O }>> {
  const all = { ...more, ...options };
  try {
    return parseArgs({ args: withNumbers(args, all), allowPositionals: true, options: all });
  } catch (error) {
    throw new UsageError(whatIsWrong((error as Error).message, Object.keys(all)));
  }
}

/** Writes `--seed -3` as `--seed=-3`, because parseArgs takes a value that begins with a hyphen for an option. */
function withNumbers(args: readonly string[], options: Options): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const [, option = ""] = /^--([\w-]+)$/.exec(joined.at(-1) ?? "") ?? [];
    if (/^-[\d.]/.test(arg) && options[option]?.type === "string") joined.push(`${joined.pop()}=${arg}`);
    else joined.push(arg);
  }
  return joined;
}

/** Our message in place of parseArgs' own. */
function whatIsWrong(message: string, known: readonly string[]): string {
  const [, unknown] = /^Unknown option '(-[^']+)'/.exec(message) ?? [];
  if (unknown !== undefined) {
    const name = unknown.replace(/^-+/, "");
    const [near] = nearestNames(name, known, { letters: Math.ceil(name.length / 3) });
    return `${unknown}: no such option${near === undefined ? "" : ` (nearest: --${near})`}.`;
  }
  const [, lacking] =
    /^Option '(?:-\w, )?(--[\w-]+)(?: <value>)?' argument (?:missing|is ambiguous)/.exec(message) ?? [];
  if (lacking === undefined) return message;
  return `${lacking}: the value is missing. Write a value that begins with a hyphen as ${lacking}=-….`;
}

/** An option's value as a number. */
export function number(option: string, text: string, expected = "a number"): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw wrong(option, text, expected);
  return value;
}

/** A number from `least` to `most`. */
export function between(option: string, text: string, least: number, most: number): number {
  const expected = `a number from ${least} to ${most}`;
  const value = number(option, text, expected);
  if (value < least || value > most) throw wrong(option, text, expected);
  return value;
}

/** A whole number from `least` to `most`. */
export function whole(option: string, text: string, least: number, most: number): number {
  const expected = `a whole number from ${least} to ${most}`;
  const value = number(option, text, expected);
  if (!Number.isSafeInteger(value) || value < least || value > most) throw wrong(option, text, expected);
  return value;
}

/** One of several names. */
export function oneOf<T extends string>(option: string, text: string, names: readonly T[]): T {
  if (!names.includes(text as T)) throw wrong(option, text, `one of ${names.join(", ")}`);
  return text as T;
}

/** A part of a file's name, such as "fp16". */
export function plainName(option: string, text: string): string {
  if (!/^[\w-]+$/.test(text)) throw wrong(option, text, "letters, digits, - and _, such as fp16");
  return text;
}

/** Reads an option that may be left out. */
export function ifGiven<T, A extends unknown[]>(
  read: (option: string, text: string, ...rest: A) => T,
  option: string,
  text: string | undefined,
  ...rest: A
): T | undefined {
  return text === undefined ? undefined : read(option, text, ...rest);
}

/** The error for an invalid value. */
export function wrong(option: string, text: string, expected: string): UsageError {
  return new UsageError(`--${option} ${text}: expected ${expected}.`);
}
