import { BACKEND_NAMES } from "@tfjs-diffusion/core/backend";
import { ifGiven, oneOf, parseOptions } from "./option-values.js";
import { EDITS, EDITS_HELP, lora, type PictureArguments, readEdits } from "./picture-arguments.js";
import { SAMPLERS } from "./samplers.js";
import { SHIPPED, SHIPPED_LORAS, SHIPPED_NAMES, type ShippedName, shippedFolder } from "./shipped.js";
import { withSteps } from "./steps.js";
import { flagHelp, flagOptions, helpRow, readFlags } from "./table-options.js";
import { UsageError } from "./usage-error.js";

/** What to draw with a model of this repository, and how. Without prompts: the sentences of the contact sheet. */
export interface DrawArguments extends PictureArguments {
  shipped: ShippedName;
}

/** The options of the models of this repository, among those of all models. */
const FLAGS = [
  "negative",
  "guidance",
  "steps",
  "timesteps",
  "sigmas",
  "seed",
  "count",
  "strength",
  "mask-blur",
] as const;
const COUNT = 4;

export const HELP = `Draws faces from sentences.

  npm start                                      a sheet of examples
  npm start -- "a face with curly red hair"      what you ask for; several sentences give a row each

${flagHelp(29, { guidance: ` (default ${SHIPPED.portraits.guidance})`, steps: ` (default ${SHIPPED.portraits.steps})`, count: ` (default ${COUNT})` }, FLAGS)}
${helpRow("--sampler NAME", `another sampler than the model's own: ${SAMPLERS.join(", ")}`, 29)}
  --init FILE.png              begin with this picture, scaled to 32 pixels, instead of noise; this, --mask, --outpaint
                               and --lora cannot be used with --model faces
${EDITS_HELP}
  --lora NAME[:SCALE]          add a LoRA: a file, a folder, or a shipped one (${SHIPPED_LORAS.join(", ")});
                               use few-steps with --sampler lcm --steps 4 --guidance 1
  --model NAME                 ${SHIPPED_NAMES.join(" or ")} (default ${SHIPPED_NAMES[0]})
  --backend NAME               ${BACKEND_NAMES.join(", ")} (default: the best that loads here)
  --out PATH                   a .png file, or a folder (default out/)
  --words                      list the words that the model knows
  --help                       this text

  npm start -- live                              draws while you type, in the terminal
  npm start -- generate MODEL "a prompt"         draws with Stable Diffusion and others: a folder, a file, a name on the hub
  npm start -- edit MODEL PICTURE "a prompt"     draws over a picture: all of it, parts of it, or beyond its borders
  npm start -- serve                             draws over HTTP: OpenAI's image API and AUTOMATIC1111's
  npm start -- inspect PATH                      describes a checkpoint, or shows the settings of a picture
  npm start -- convert FROM TO                   writes a checkpoint in another form: file, folder, precision, shards
  npm start -- backends                          shows which backends of TensorFlow.js run here, and how fast
  npm start -- profile                           shows where the time of a network goes

Each of these has its own --help. Exit codes: 0 done, 1 failed, 2 wrong arguments, 130 stopped by Ctrl-C.
`;

/**
 * Reads the words after `npm start --`.
 *
 * @returns "help", or the model whose words to list, where these are asked for
 * @throws UsageError for an unknown option, or a value out of its range
 */
export function readDrawArguments(args: string[]): DrawArguments | "help" | { words: ShippedName } {
  const { values, positionals } = parseOptions(args, OPTIONS, flagOptions(FLAGS));
  if (values.help) return "help";
  const shipped = oneOf("model", values.model, SHIPPED_NAMES);
  if (values.words) return { words: shipped };
  const { seed = 0, numImages: count = COUNT, ...options } = readFlags(values);
  return {
    shipped,
    model: shippedFolder(shipped),
    prompts: sentences(positionals),
    options: withSteps({ guidanceScale: SHIPPED[shipped].guidance, ...options }, SHIPPED[shipped].steps),
    seed,
    count,
    sampler: ifGiven(oneOf, "sampler", values.sampler, SAMPLERS),
    ...readEdits(values, values.init, options),
    loras: values.lora.map(lora),
    words: [],
    open: {},
    backend: ifGiven(oneOf, "backend", values.backend, [...BACKEND_NAMES, "tensorflow"]),
    out: values.out,
  };
}

const TEXT = { type: "string" } as const;
const OPTIONS = {
  model: { ...TEXT, default: SHIPPED_NAMES[0] as string },
  lora: { ...TEXT, multiple: true, default: [] as string[] },
  sampler: TEXT,
  init: TEXT,
  ...EDITS,
  backend: TEXT,
  out: TEXT,
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
