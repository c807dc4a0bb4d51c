import { argv, exit } from "node:process";
import type { ParseArgsConfig } from "node:util";
import type { FaceKind } from "../datasets/faces/index.js";
import { KIND_NAMES, kindNamed } from "../datasets/kinds.js";
import { between, oneOf, parseOptions, whole } from "../src/cli/options/option-values.js";
import { UsageError } from "../src/cli/options/usage-error.js";

type Options = NonNullable<ParseArgsConfig["options"]>;

/**
 * Reads the command line of a script that trains or measures: its options, and the word that may follow them. `--help`
 * lists the options with their defaults and exits.
 *
 * @param words the allowed words; default: no word is allowed
 * @throws UsageError for an unknown option or word
 */
export function scriptOptions<O extends Options>(
  options: O,
  words: readonly string[] = [],
  args = argv.slice(2),
): { options: ReturnType<typeof parseOptions<O>>["values"]; word: string | undefined } {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(optionsHelp(options, words));
    exit(0);
  }
  const { values, positionals } = parseOptions(args, options);
  const [word, ...more] = positionals;
  const unknown = words.length > 0 ? more[0] : word;
  if (unknown !== undefined) throw new UsageError(`"${unknown}" is not an option of this script.`);
  return { options: values, word };
}

/** A line for each option. */
function optionsHelp(options: Options, words: readonly string[]): string {
  const lines = Object.entries(options).map(([name, { type, default: usual }]) =>
    type === "boolean" ? `  --${name}` : `  --${name} VALUE${typeof usual === "string" ? ` (default ${usual})` : ""}`,
  );
  return [...(words.length > 0 ? [`  ${words.join(" | ")}`] : []), ...lines].join("\n");
}

/** A number of pictures or prompts, or a batch size. */
export const countOption = (name: string, text: string) => whole(name, text, 1, 1_000_000);
/** A number of sampling steps. */
export const stepsOption = (name: string, text: string) => whole(name, text, 1, 1000);
export const guidanceOption = (name: string, text: string) => between(name, text, 0, 100);

/** Several values, separated by commas. */
export const listOption = (name: string, text: string, read: (name: string, text: string) => number): number[] =>
  text.split(",").map((part) => read(name, part));

/** The data set that `--kind` names. */
export const kindOption = (text: string): FaceKind => kindNamed(oneOf("kind", text, KIND_NAMES));
