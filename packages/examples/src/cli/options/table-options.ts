import { type CommonOptions, type Option, type OptionTable, PIPELINE_CLASSES } from "@tfjs-diffusion/core/pipelines";
import { alignYourSteps } from "@tfjs-diffusion/schedulers";
import { wrong } from "./option-values.js";

/** An option of a pipeline that the command line offers. */
interface TableFlag {
  /** Its name in the pipeline's table, such as numInferenceSteps. */
  option: string;
  rule: Option<unknown>;
}

/** Options of a pipeline by their names in its table, as a command line gave them. */
export type TableValues = Record<string, unknown> &
  Pick<CommonOptions, "numInferenceSteps" | "timesteps" | "sigmas" | "seed" | "numImages" | "width" | "height"> & {
    classLabels?: readonly number[];
  };

const TABLES: readonly OptionTable[] = PIPELINE_CLASSES.map(({ options }) => options);

/**
 * The options of all kinds of pipelines, by their names after the two hyphens. Names, limits and help lines are the
 * library's: an option with a `flag` in a pipeline's table appears here by itself.
 */
export const FLAGS: ReadonlyMap<string, TableFlag> = new Map(
  TABLES.flatMap((table) =>
    Object.entries(table).flatMap(([option, rule]): [string, TableFlag][] =>
      rule.flag ? [[/^--([\w-]+)/.exec(rule.flag.usage)![1]!, { option, rule }]] : [],
    ),
  ),
);

/** Lists of timesteps that have a name, by the networks that they were searched for (Sabour et al. 2024). */
const NAMED: Readonly<Record<string, ReadonlyMap<string, unknown>>> = {
  timesteps: new Map(Object.entries(alignYourSteps)),
};

/** Their help after the table's. */
const NAMED_HELP = `; or a list of Align Your Steps: ${[...NAMED.timesteps!.keys()].join(", ")}`;

/** How `parseOptions` reads these flags. */
export function flagOptions(names: Iterable<string> = FLAGS.keys()): Record<string, { type: "string" | "boolean" }> {
  return Object.fromEntries(
    [...names].map((name) => [name, { type: FLAGS.get(name)!.rule.flag!.read ? "string" : "boolean" }]),
  );
}

/**
 * The options of the table among the values of a command line.
 *
 * @throws UsageError for a value that the table does not take
 */
export function readFlags(values: object): TableValues {
  const given: TableValues = {};
  for (const [name, text] of Object.entries(values)) {
    const flag = FLAGS.get(name);
    if (flag && text !== undefined) given[flag.option] = text === true || readFlag(name, text as string);
  }
  return given;
}

function readFlag(name: string, text: string): unknown {
  const { flag, fits, expected } = FLAGS.get(name)!.rule;
  const named = Object.hasOwn(NAMED, name) ? NAMED[name]!.get(text) : undefined;
  const value = named ?? flag!.read!(text);
  const isTooMuch = typeof value === "number" && value > (flag!.most ?? Infinity);
  if (isTooMuch || !fits(value)) throw wrong(name, text, flag!.expected ?? expected);
  return value;
}

/** The flag of a pipeline's option, `--steps` of numInferenceSteps; undefined if it has none. */
export function flagOf(option: string): string | undefined {
  for (const [name, flag] of FLAGS) if (flag.option === option) return `--${name}`;
  return undefined;
}

/** What `--help` says of flags: `more` follows the table's line; without it, the default does. */
export function flagHelp(column: number, more: Record<string, string> = {}, names: Iterable<string> = FLAGS.keys()) {
  return [...names].map((name) => helpLine(name, column, more[name])).join("\n");
}

function helpLine(name: string, column: number, more = defaultOf(name)): string {
  const { usage, help } = FLAGS.get(name)!.rule.flag!;
  const named = Object.hasOwn(NAMED, name) ? NAMED_HELP : "";
  return helpRow(usage, `${help}${named}${more}`, column);
}

const WIDTH = 120;

/** An option and its explanation, whose further lines begin at the same column. */
export function helpRow(usage: string, text: string, column: number): string {
  const lines = [`  ${usage.padEnd(column - 1)}`];
  for (const word of text.split(" ")) {
    if (lines.at(-1)!.length + word.length >= WIDTH) lines.push(" ".repeat(column + 1));
    lines.push(`${lines.pop()} ${word}`);
  }
  return lines.join("\n");
}

/** The default of an option where all pipelines have the same. */
function defaultOf(name: string): string {
  const { option } = FLAGS.get(name)!;
  const defaults = TABLES.filter((table) => option in table).map((table) => table[option]!.default);
  const [value, ...others] = new Set(defaults);
  if (others.length > 0) return " (default: the model's)";
  return typeof value === "number" ? ` (default ${value})` : "";
}
