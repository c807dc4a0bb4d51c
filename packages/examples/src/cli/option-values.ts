import { parseArgs, type ParseArgsConfig } from "node:util";
import { UsageError } from "./usage-error.js";

/**
 * Splits a command line into options and words.
 *
 * @throws UsageError for an option that is not among `options`, or lacks its value
 */
export function parseOptions<O extends NonNullable<ParseArgsConfig["options"]>>(
  args: string[],
  options: O,
): ReturnType<typeof parseArgs<{ args: string[]; allowPositionals: true; options: O }>> {
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    throw new UsageError((error as Error).message); // parseArgs throws nothing else, and says what was wrong.
  }
}

/** An option's value as a number. */
export function number(option: string, text: string, expected = "a number"): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw wrong(option, text, expected);
  return value;
}

/** The same, not below `least` and not above `most`. */
export function between(option: string, text: string, least: number, most: number): number {
  const expected = `a number from ${least} to ${most}`;
  const value = number(option, text, expected);
  if (value < least || value > most) throw wrong(option, text, expected);
  return value;
}

/** The same, whole. */
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

/** What reads an option, where it may be left out. */
export function ifGiven<T, A extends unknown[]>(
  read: (option: string, text: string, ...rest: A) => T,
  option: string,
  text: string | undefined,
  ...rest: A
): T | undefined {
  return text === undefined ? undefined : read(option, text, ...rest);
}

/** The error for a value that is none. */
export function wrong(option: string, text: string, expected: string): UsageError {
  return new UsageError(`--${option} ${text}: expected ${expected}.`);
}
