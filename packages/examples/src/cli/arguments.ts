import { BACKEND_NAMES } from "@tfjs-diffusion/core";
import { ifGiven, number, oneOf, parseOptions, whole } from "./option-values.js";
import { SAMPLERS } from "./samplers.js";
import { UsageError } from "./usage-error.js";

/** What to draw, and how. */
export interface DrawArguments {
  /** None: the sentences of the contact sheet. */
  prompts: string[];
  negative: string;
  guidance: number;
  steps: number;
  seed: number;
  /** Pictures of each prompt. */
  count: number;
  /** undefined: the model's own. */
  sampler: string | undefined;
  /** undefined: the best that loads. */
  backend: string | undefined;
  /** A file ending in .png, or a folder. */
  out: string | undefined;
}

export const HELP = `Draws faces from sentences.

  npm start                                      a sheet of examples
  npm start -- "a face with curly red hair"      what you ask for; several sentences give a row each

  --negative TEXT   what to draw away from
  --guidance N      how strongly to follow the sentence (default 3; 1 is not at all beyond what was learned)
  --steps N         steps from noise to picture (default 20)
  --seed N          the same seed draws the same faces (default 0)
  --count N         pictures of each sentence (default 4)
  --sampler NAME    another sampler than the model's own: ${SAMPLERS.join(", ")}
  --backend NAME    ${BACKEND_NAMES.join(", ")} (default: the best that loads here)
  --out PATH        a .png file, or a folder (default out/)
  --words           list the words the model knows
  --help            this text

  npm start -- backends                          what TensorFlow.js can run on here, and how fast
  npm start -- profile                           where the time of a network goes; profile --help lists the options
  npm start -- generate MODEL "a prompt"         pictures from Stable Diffusion: a folder, a .safetensors file, a name on the hub
  npm start -- edit MODEL PICTURE "a prompt"     a picture drawn anew, in places or beyond its borders
  npm start -- convert FROM TO                   a checkpoint as another: file, folder, precision, shards
  npm start -- inspect PATH                      what a checkpoint or a picture is: family, sizes and number types; its settings

Each has its own --help. Exit codes: 0 done, 1 not possible, 2 not understood, 130 stopped by Ctrl-C.
`;

/** The most that is sensible in one picture file, and the most steps that the noise schedule has. */
const MOST = { count: 1000, steps: 1000 };

/**
 * Reads the words after `npm start --`.
 *
 * @throws UsageError for an unknown option, or a value out of its range
 */
export function readDrawArguments(args: string[]): DrawArguments | "help" | "words" {
  const { values, positionals } = parseOptions(args, OPTIONS);
  if (values.help) return "help";
  if (values.words) return "words";
  return {
    prompts: sentences(positionals),
    negative: values.negative,
    guidance: number("guidance", values.guidance),
    steps: whole("steps", values.steps, 1, MOST.steps),
    seed: whole("seed", values.seed, 0, Number.MAX_SAFE_INTEGER),
    count: whole("count", values.count, 1, MOST.count),
    sampler: ifGiven(oneOf, "sampler", values.sampler, SAMPLERS),
    backend: ifGiven(oneOf, "backend", values.backend, [...BACKEND_NAMES, "tensorflow"]),
    out: values.out,
  };
}

const OPTIONS = {
  negative: { type: "string", default: "" },
  guidance: { type: "string", default: "3" },
  steps: { type: "string", default: "20" },
  seed: { type: "string", default: "0" },
  count: { type: "string", default: "4" },
  sampler: { type: "string" },
  backend: { type: "string" },
  out: { type: "string" },
  words: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Words that came without quotation marks are one sentence. */
function sentences(positionals: string[]): string[] {
  const given = positionals.map((text) => text.trim());
  if (given.includes(""))
    throw new UsageError("The sentence is empty; write what to draw, or nothing for a sheet of examples.");
  const isUnquoted = given.length > 1 && given.every((text) => !text.includes(" "));
  return isUnquoted ? [given.join(" ")] : given;
}
