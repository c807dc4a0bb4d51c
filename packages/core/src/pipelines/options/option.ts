import * as tf from "@tensorflow/tfjs";
import { PipelineOptionError } from "./errors.js";
import { isScheduler } from "./sampler-checks.js";
import { shown } from "./shown.js";

/**
 * One option of a pipeline. Each option is defined once, in a table: its key is its name, and editors show the comment
 * above it. The TypeScript interface, the list of known names, the defaults, the checks and the command line's help all
 * come from that table.
 */
export interface Option<T> {
  /** The expected values, as in error messages: "a whole number, 1 or more". */
  readonly expected: string;
  /** Whether a value is allowed. The pipeline checks what depends on other options or on the networks. */
  fits(value: unknown): value is T;
  /** The value if the option is left out. */
  readonly default?: T;
  /** For an older name of an option: its present name. */
  readonly synonymOf?: string;
  /** The option's flag on the command line. */
  readonly flag?: Flag;
  /** Why this pipeline refuses an option that other pipelines take. */
  readonly refused?: string;
}

/** An option on the command line. */
export interface Flag {
  /** The flag with its value, as in the help: "--steps N". */
  readonly usage: string;
  /** The line of help. */
  readonly help: string;
  /** Converts the text to a value. Left out for a flag without a value, which means true. */
  readonly read?: (text: string) => unknown;
  /** The expected text, as in error messages. Default: that of the option. */
  readonly expected?: string;
  /** The largest number that the command line accepts, if the library has no limit. */
  readonly most?: number;
}

/** The options of a pipeline by their names. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

type ValueOf<O> = O extends Option<infer T> ? T : never;

/** The type of the options object that a table describes; each option may be left out. */
export type OptionsOf<Table> = { -readonly [Name in keyof Table]?: ValueOf<Table[Name]> | undefined };

/** The same after the options are read: an option with a default always has a value. */
export type ReadOptions<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends { readonly default: unknown }
    ? ValueOf<Table[Name]>
    : ValueOf<Table[Name]> | undefined;
};

/** Further properties of an {@link Option}. */
export interface OptionDetails<T> {
  default?: T;
  flag?: Flag;
}

/** A whole number, `least` or more, and at most `more.most` if that is given. */
export function whole<M extends OptionDetails<number> & { most?: number }>(least: number, more?: M) {
  const { most = Number.MAX_SAFE_INTEGER } = more ?? {};
  const fits = (value: unknown): value is number =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
  const asText = { read: toNumber, expected: `a whole number from ${least} to ${more?.flag?.most ?? most}` };
  const expected = `a whole number, ${least} or more${more?.most === undefined ? "" : `, at most ${most}`}`;
  return option(expected, fits, withReader(more, asText));
}

/** A finite number; `expected` describes it in error messages. */
export function finite<M extends OptionDetails<number>>(expected: string, more?: M) {
  const fits = (value: unknown): value is number => Number.isFinite(value);
  return option(expected, fits, withReader(more, { read: toNumber, expected: "a number" }));
}

/** A number from `least` to `most`. */
export function between<M extends OptionDetails<number>>(least: number, most: number, more?: M) {
  const fits = (value: unknown): value is number => typeof value === "number" && value >= least && value <= most;
  return option(`a number from ${least} to ${most}`, fits, withReader(more, { read: toNumber }));
}

/** A list or typed array of one or more numbers; on the command line they are separated by commas. */
export function numbers<M extends OptionDetails<ArrayLike<number>>>(more?: M) {
  const fits = (value: unknown): value is ArrayLike<number> =>
    isNumberList(value) && value.length > 0 && Array.from(value).every((number) => Number.isFinite(number));
  const read = (text: string) => text.split(",").map(toNumber);
  return option("a list of numbers", fits, withReader(more, { read, expected: "numbers separated by commas" }));
}

/** True or false. */
export function boolean<M extends OptionDetails<boolean>>(more?: M) {
  return option("true or false", (value): value is boolean => typeof value === "boolean", more);
}

/** The most pictures of one call. Draw more by several calls, each with its own seed. */
export const MOST_PICTURES = 10_000;

/** One text, or several. */
export function text<M extends OptionDetails<string | string[]>>(more?: M) {
  const fits = (value: unknown): value is string | string[] => {
    const list: unknown[] = [value].flat();
    return list.length > 0 && list.length <= MOST_PICTURES && list.every((one) => typeof one === "string");
  };
  return option(`a string, or a list of strings, at most ${MOST_PICTURES}`, fits, withReader(more, { read: String }));
}

/** A tensor of numbers that is not disposed. The pipeline checks its shape. */
export function tensor<T extends tf.Tensor>() {
  const fits = (value: unknown): value is T => value instanceof tf.Tensor && !value.isDisposed && isOfNumbers(value);
  return option(A_TENSOR, fits);
}

/** What a tensor must be, in errors. */
export const A_TENSOR = "a tensor of numbers (of true and false: toFloat()) that is disposed of only after the drawing";

/** Whether a tensor holds numbers, and not true and false, or texts. */
export function isOfNumbers({ dtype }: { dtype: string }): boolean {
  return dtype === "float32" || dtype === "int32";
}

/** An object with a method of this name, such as a source of noise with `normal`. */
export function withMethod<T extends object>(method: string, expected: string) {
  const fits = (value: unknown): value is T =>
    typeof (value as Record<string, unknown> | null)?.[method] === "function";
  return option(expected, fits);
}

/** What a scheduler must be, in errors. */
export const A_SCHEDULER = "a scheduler, such as schedulerFromConfig returns";

/** A sampler, of a class of this library or of one's own. */
export function scheduler() {
  return option(A_SCHEDULER, isScheduler);
}

/** A function that the pipeline calls. */
export function callback<T extends (argument: never) => unknown>(more?: OptionDetails<T>) {
  return option("a function", (value): value is T => typeof value === "function", more);
}

/** An object whose contents the pipeline checks. */
export function object<T extends object>(expected: string) {
  return option(expected, (value): value is T => typeof value === "object" && value !== null);
}

/** One such object, or a list of them. */
export function objects<T extends object>(expected: string) {
  const isObject = (one: unknown) => typeof one === "object" && one !== null && !Array.isArray(one);
  return option(`${expected}, or a list of them`, (value): value is T | readonly T[] =>
    Array.isArray(value) ? value.every(isObject) : isObject(value),
  );
}

/** An older name of an option, kept for existing programs. */
export function synonym<T>(of: string, { expected, fits }: Option<T>): Option<T> & { readonly synonymOf: string } {
  return { expected, fits, synonymOf: of };
}

/** An option of other pipelines that this one refuses; `reason` is part of the error message. */
export function refused(reason: string): Option<never> {
  return { expected: `nothing: ${reason}`, fits: (value): value is never => value === undefined, refused: reason };
}

/** The same options with other defaults. */
export function withDefaults<T extends OptionTable, D extends Partial<OptionsOf<T>>>(table: T, defaults: D) {
  const changed = Object.entries(defaults).map(([name, value]) => [name, { ...table[name], default: value }]);
  return { ...table, ...Object.fromEntries(changed) } as T & {
    readonly [Name in keyof D & keyof T]: T[Name] & { readonly default: ValueOf<T[Name]> };
  };
}

/** @throws PipelineOptionError that says what was given and what is expected */
export function requireValue<T>(name: string, value: unknown, { expected, fits }: Option<T>): T {
  if (fits(value)) return value;
  if (isNumberList(value) && value.length === 0) {
    throw new PipelineOptionError(`${name}: an empty list; give ${expected}.`);
  }
  throw new PipelineOptionError(`${name}: ${shown(value)}; expected ${expected}.`);
}

/** Whether a pipeline with this table takes the option. */
export function takesOption(table: OptionTable, name: string): boolean {
  return Object.hasOwn(table, name) && table[name]!.refused === undefined;
}

/** Whether a value is a list or a typed array; what the list holds is not looked at. */
function isNumberList(value: unknown): value is ArrayLike<number> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value);
}

function option<T, M extends OptionDetails<T>>(expected: string, fits: (value: unknown) => value is T, more?: M) {
  return { expected, fits, ...more } as Option<T> & M;
}

function withReader<M extends { flag?: Flag }>(more: M | undefined, asText: Partial<Flag>): M | undefined {
  return more?.flag ? { ...more, flag: { ...asText, ...more.flag } } : more;
}

function toNumber(text: string): number {
  return text.trim() === "" ? NaN : Number(text);
}
