import { BACKEND_NAMES } from "@tfjs-diffusion/core/backend";
import { type Borders } from "@tfjs-diffusion/core/pipelines";
import { ifGiven, number, oneOf, parseOptions, plainName, whole, wrong } from "./option-values.js";
import { SAMPLER_CLASSES } from "./samplers.js";
import { SHIPPED_LORAS, SHIPPED_NAMES } from "./shipped.js";
import { readSteps, type StepArguments, TIMESTEPS_HELP } from "./steps.js";
import { helpLine, type TableName, tableValue } from "./table-options.js";
import { UsageError } from "./usage-error.js";

/** A LoRA, and how strongly to mix it in. */
export interface LoraArgument {
  from: string;
  scale: number;
}

/** A file with a new word, and the word where the file does not name it. */
export interface WordArgument {
  from: string;
  token?: string;
}

/** What `diffusion generate` and `diffusion edit` are asked for; undefined: the model's own. */
export interface PictureArguments extends StepArguments {
  /** A folder, a `.safetensors` file or a name on the hub. */
  model: string;
  prompts: string[];
  negative?: string;
  guidance?: number;
  rescale?: number;
  seed: number;
  /** Pictures of each prompt. */
  count: number;
  sampler?: string;
  width?: number;
  height?: number;
  clipSkip?: number;
  weighting: boolean;
  loras: LoraArgument[];
  words: WordArgument[];
  control?: { model: string; image: string; scale?: number };
  /** The picture to begin with, and what is done to it. */
  image?: string;
  strength?: number;
  mask?: string;
  maskBlur?: number;
  outpaint?: Borders;
  /** Put what is outside the mask back as it was. */
  paste: boolean;
  out?: string;
  backend?: string;
  open: {
    variant?: string;
    revision?: string;
    dtype?: "F16" | "F32";
    config?: string;
    tokenizer?: string;
    predictionType?: "epsilon" | "v_prediction";
  };
}

/** The words of `--dtype`, and what the library calls them. */
const DTYPES = { fp16: "F16", float16: "F16", fp32: "F32", float32: "F32" } as const;

/** The value of `--dtype`. */
export function precision(option: string, text: string): "F16" | "F32" {
  return DTYPES[oneOf(option, text, Object.keys(DTYPES) as (keyof typeof DTYPES)[])];
}

const line = (name: TableName, more?: string) => helpLine(name, 29, more);

const COMMON_HELP = `${line("negative")}
${line("guidance")}
${line("rescale")}
${line("steps", " (default 25)")}
${line("timesteps", TIMESTEPS_HELP)}
${line("sigmas")}
${line("seed", " (default 0); the second picture has the next seed, and so on")}
${line("count", " (default 1)")}
  --sampler NAME               ${[...SAMPLER_CLASSES.keys()].join(", ")}
${line("width", ", a multiple of 8; a picture that is given is scaled to it (for the portraits, without it, to 32)")}
${line("height", ", the same")}
  --lora FILE[:SCALE]          mixes a LoRA in (a file, a folder, or for portraits ${SHIPPED_LORAS.join(" or ")}); can be given several times
  --textual-inversion FILE[:WORD]   teaches a word; can be given several times
${line("clip-skip", " (default 0)")}
${line("prompt-weights")}
  --controlnet MODEL --control-image FILE.png [--control-scale N]   follow a picture's edges, depths, poses
  --backend NAME               ${BACKEND_NAMES.join(", ")} (default: the best that loads here)
  --out PATH                   a .png file, or a folder (default out/)

  How to open the model:
  --variant NAME               which of several sets of weights, such as fp16
  --revision NAME              a branch, a tag or a commit, of a model of the hub
  --dtype fp16|fp32            round the weights to this precision
  --config PATH                for single files of other sizes: a folder of diffusers, or a name on the hub, with their configs
  --tokenizer PATH             for single files: a folder, or a name on the hub, with CLIP's vocabulary
  --prediction epsilon|v_prediction   for single files: what the network predicts, where the file does not say
  --help                       this text
`;

const MODELS = `MODEL is a folder in the layout of diffusers, a single .safetensors file, one that comes with the repository (${SHIPPED_NAMES.join(", ")}),
or a name on the hub ("owner/name"), which is downloaded into the cache of Python's huggingface_hub. HF_HOME, HF_TOKEN, HF_ENDPOINT and
HF_HUB_OFFLINE count.`;

export const GENERATE_HELP = `Draws pictures from a prompt, with Stable Diffusion 1.x, 2.x, XL, unCLIP or a model of this library. Each PNG file holds its settings.

  diffusion generate MODEL "a prompt" ["another prompt" …]     (in this repository: npm start -- generate …)

${MODELS}

  --init FILE.png              begin with this picture instead of noise
${line("strength")}
${COMMON_HELP}`;

export const EDIT_HELP = `Draws a picture anew: all of it, where a mask is white, or beyond its borders. Each PNG file holds its settings.

  diffusion edit MODEL FILE.png "a prompt"     (in this repository: npm start -- edit …)

${MODELS}

${line("strength")}
  --mask FILE.png              draw anew where this picture is white, or where it is painted on a transparent layer
  --outpaint N|T,R,B,L         grow the picture by N pixels on all sides, or by these at its top, right, bottom and left
${line("mask-blur")}
  --no-paste                   do not put the picture's own pixels back outside the mask
${COMMON_HELP}`;

const TEXT = { type: "string" } as const;
const LIST = { type: "string", multiple: true, default: [] as string[] } as const;
const FLAG = { type: "boolean", default: false } as const;
const COMMON = {
  negative: TEXT,
  guidance: TEXT,
  rescale: TEXT,
  sampler: TEXT,
  width: TEXT,
  height: TEXT,
  "clip-skip": TEXT,
  lora: LIST,
  "textual-inversion": LIST,
  "prompt-weights": FLAG,
  strength: TEXT,
  out: TEXT,
  backend: TEXT,
  controlnet: TEXT,
  "control-image": TEXT,
  "control-scale": TEXT,
  variant: TEXT,
  revision: TEXT,
  dtype: TEXT,
  config: TEXT,
  tokenizer: TEXT,
  prediction: TEXT,
  steps: TEXT,
  timesteps: TEXT,
  sigmas: TEXT,
  seed: { ...TEXT, default: "0" },
  count: { ...TEXT, default: "1" },
  help: { type: "boolean", short: "h", default: false },
} as const;
/** What is done to a picture, besides all of the rest. */
export const EDITS = { mask: TEXT, outpaint: TEXT, "mask-blur": TEXT, "no-paste": FLAG } as const;

/** The most pixels along a side that fit a PNG file and any memory; the pipeline says what it can do. */
const MOST_PIXELS = 16_384;

/**
 * Reads the words after `generate`.
 *
 * @throws UsageError for an unknown option, a value out of its range, or no model and prompt
 */
export function readGenerateArguments(args: string[]): PictureArguments | "help" {
  const { values, positionals } = parseOptions(args, { ...COMMON, init: TEXT });
  if (values.help) return "help";
  const [model, ...prompts] = positionals;
  if (!model || prompts.length === 0)
    throw new UsageError(`generate: expected a model and a prompt; got ${model ?? "neither"}.`);
  if (values.strength !== undefined && values.init === undefined)
    throw new UsageError("--strength is for a picture to begin with; give --init FILE.png too.");
  return { ...common(values), model, prompts, image: values.init, paste: false };
}

/**
 * Reads the words after `edit`.
 *
 * @throws UsageError for an unknown option, a value out of its range, or no model and picture
 */
export function readEditArguments(args: string[]): PictureArguments | "help" {
  const { values, positionals } = parseOptions(args, { ...COMMON, ...EDITS });
  if (values.help) return "help";
  const [model, image, ...prompts] = positionals;
  if (!model || !image || prompts.length === 0) throw new UsageError("edit: expected a model, a picture and a prompt.");
  return { ...common(values), model, prompts, image, ...readEdits(values) };
}

/**
 * What is done to a picture.
 *
 * @throws UsageError for options that exclude or need each other
 */
export function readEdits(
  values: ReturnType<typeof parseOptions<typeof EDITS>>["values"],
): Pick<PictureArguments, "mask" | "outpaint" | "maskBlur" | "paste"> {
  const { mask } = values;
  const outpaint = ifGiven(borders, "outpaint", values.outpaint);
  if (mask !== undefined && outpaint !== undefined)
    throw new UsageError("--mask and --outpaint: give one of them; what is grown is its own mask.");
  const maskBlur = tableValue("mask-blur", values["mask-blur"]);
  const isMasked = mask !== undefined || outpaint !== undefined;
  const paste = isMasked && !values["no-paste"];
  if (maskBlur !== undefined && !paste)
    throw new UsageError("--mask-blur needs --mask or --outpaint, without --no-paste.");
  return { mask, outpaint, maskBlur, paste };
}

type Values = ReturnType<typeof parseOptions<typeof COMMON>>["values"];

function common(values: Values): Omit<PictureArguments, "model" | "prompts" | "paste"> {
  return {
    negative: values.negative,
    guidance: tableValue("guidance", values.guidance),
    rescale: tableValue("rescale", values.rescale),
    ...readSteps(values, 25),
    seed: tableValue("seed", values.seed),
    count: tableValue("count", values.count),
    sampler: ifGiven(oneOf, "sampler", values.sampler, [...SAMPLER_CLASSES.keys()]),
    width: tableValue("width", values.width),
    height: tableValue("height", values.height),
    clipSkip: tableValue("clip-skip", values["clip-skip"]),
    weighting: values["prompt-weights"],
    loras: values.lora.map(lora),
    words: values["textual-inversion"].map(word),
    control: control(values),
    strength: tableValue("strength", values.strength),
    out: values.out,
    backend: ifGiven(oneOf, "backend", values.backend, [...BACKEND_NAMES, "tensorflow"]),
    open: {
      variant: ifGiven(plainName, "variant", values.variant),
      revision: values.revision,
      dtype: ifGiven(precision, "dtype", values.dtype),
      config: values.config,
      tokenizer: values.tokenizer,
      predictionType: ifGiven(oneOf, "prediction", values.prediction, ["epsilon", "v_prediction"] as const),
    },
  };
}

/** `FILE:0.8`, or its folder; a colon with anything but a number behind it belongs to the file's name. */
export function lora(text: string): LoraArgument {
  const [, from = text, scale = "1"] = /^(.+):([-+]?(?:\d+\.?\d*|\.\d+))$/.exec(text) ?? [];
  return { from, scale: number("lora", scale) };
}

/** `FILE:<word>`; the file's name ends in `.safetensors`. */
function word(text: string): WordArgument {
  const [, from = text, token] = /^(.+\.safetensors):(.+)$/i.exec(text) ?? [];
  return token === undefined ? { from } : { from, token };
}

function control(values: Values): PictureArguments["control"] {
  const { controlnet: model, "control-image": image, "control-scale": scale } = values;
  if (model === undefined && image === undefined && scale === undefined) return undefined;
  if (model === undefined || image === undefined)
    throw new UsageError("--controlnet and --control-image: give both, the network and the picture it reads.");
  return { model, image, scale: ifGiven(number, "control-scale", scale) };
}

/** `64`, or `0,64,0,64` for top, right, bottom and left. */
function borders(option: string, text: string): Borders {
  const sides = text.split(",").map((side) => side.trim());
  if (sides.length !== 1 && sides.length !== 4) throw wrong(option, text, "one number of pixels, or four: T,R,B,L");
  const [top, right = top, bottom = top, left = top] = sides.map((side) => whole(option, side, 0, MOST_PIXELS)) as [
    number,
  ];
  return { top, right, bottom, left };
}
