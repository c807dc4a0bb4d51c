import { BACKEND_NAMES } from "@tfjs-diffusion/core/backend";
import { ifGiven, oneOf, parseOptions } from "./option-values.js";
import { EDITS, lora, type PictureArguments, readEdits } from "./picture-arguments.js";
import { SAMPLERS } from "./samplers.js";
import { SHIPPED, SHIPPED_LORAS, SHIPPED_NAMES, type ShippedName, shippedFolder } from "./shipped.js";
import { readSteps, TIMESTEPS_HELP } from "./steps.js";
import { helpLine, type TableName, tableValue } from "./table-options.js";
import { UsageError } from "./usage-error.js";

/**
 * What to draw with a model that comes with the repository, and how. No prompts: the sentences of the contact sheet.
 */
export interface DrawArguments extends PictureArguments {
  shipped: ShippedName;
  guidance: number;
  negative: string;
}

const line = (name: TableName, more?: string) => helpLine(name, 18, more);

export const HELP = `Draws faces from sentences.

  npm start                                      a sheet of examples
  npm start -- "a face with curly red hair"      what you ask for; several sentences give a row each

${line("negative")}
${line("guidance", ` (default ${SHIPPED.portraits.guidance})`)}
${line("steps", " (default 20)")}
${line("timesteps", TIMESTEPS_HELP)}
${line("sigmas")}
${line("seed", " (default 0)")}
${line("count", " (default 4)")}
  --sampler NAME    another sampler than the model's own: ${SAMPLERS.join(", ")}
  --init FILE.png   begin with this picture, scaled to 32 pixels, instead of noise (this, --mask, --outpaint and --lora: not with --model faces)
${line("strength")}
  --mask FILE.png   draw anew only where this picture is white
  --outpaint N|T,R,B,L   grow the picture by N pixels on all sides, or by these at its top, right, bottom and left
${line("mask-blur")}
  --no-paste        do not put the picture's own pixels back outside the mask
  --lora NAME[:SCALE]   mix in a file, a folder, or what comes with the model: ${SHIPPED_LORAS.join(" or ")};
                    few-steps is for --sampler lcm --steps 4 --guidance 1
  --model NAME      ${SHIPPED_NAMES.join(" or ")} (default ${SHIPPED_NAMES[0]})
  --backend NAME    ${BACKEND_NAMES.join(", ")} (default: the best that loads here)
  --out PATH        a .png file, or a folder (default out/)
  --words           list the words the model knows
  --help            this text

  npm start -- live                              draws while you type, in the terminal
  npm start -- backends                          what TensorFlow.js can run on here, and how fast
  npm start -- profile                           where the time of a network goes; profile --help lists the options
  npm start -- generate MODEL "a prompt"         pictures from Stable Diffusion: a folder, a .safetensors file, a name on the hub
  npm start -- edit MODEL PICTURE "a prompt"     a picture drawn anew, in places or beyond its borders
  npm start -- convert FROM TO                   a checkpoint as another: file, folder, precision, shards
  npm start -- inspect PATH                      what a checkpoint or a picture is: family, sizes and number types; its settings

Each has its own --help. Exit codes: 0 done, 1 not possible, 2 not understood, 130 stopped by Ctrl-C.
`;

/**
 * Reads the words after `npm start --`.
 *
 * @returns "help", or the model whose words to list, where these are asked for
 * @throws UsageError for an unknown option, or a value out of its range
 */
export function readDrawArguments(args: string[]): DrawArguments | "help" | { words: ShippedName } {
  const { values, positionals } = parseOptions(args, OPTIONS);
  if (values.help) return "help";
  const shipped = oneOf("model", values.model, SHIPPED_NAMES);
  if (values.words) return { words: shipped };
  const { init: image } = values;
  const needless = (["strength", "mask", "outpaint", "mask-blur", "no-paste"] as const).find(
    (option) => values[option],
  );
  if (image === undefined && needless !== undefined)
    throw new UsageError(`--${needless} is for a picture to begin with; give --init FILE.png too.`);
  return {
    shipped,
    model: shippedFolder(shipped),
    prompts: sentences(positionals),
    negative: values.negative,
    guidance: tableValue("guidance", values.guidance) ?? SHIPPED[shipped].guidance,
    ...readSteps(values, 20),
    seed: tableValue("seed", values.seed),
    count: tableValue("count", values.count),
    sampler: ifGiven(oneOf, "sampler", values.sampler, SAMPLERS),
    image,
    strength: tableValue("strength", values.strength),
    ...readEdits(values),
    loras: values.lora.map(lora),
    words: [],
    weighting: false,
    open: {},
    backend: ifGiven(oneOf, "backend", values.backend, [...BACKEND_NAMES, "tensorflow"]),
    out: values.out,
  };
}

const TEXT = { type: "string" } as const;
const OPTIONS = {
  negative: { ...TEXT, default: "" },
  steps: TEXT,
  timesteps: TEXT,
  sigmas: TEXT,
  seed: { ...TEXT, default: "0" },
  count: { ...TEXT, default: "4" },
  model: { ...TEXT, default: SHIPPED_NAMES[0] as string },
  lora: { ...TEXT, multiple: true, default: [] as string[] },
  guidance: TEXT,
  sampler: TEXT,
  init: TEXT,
  strength: TEXT,
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
