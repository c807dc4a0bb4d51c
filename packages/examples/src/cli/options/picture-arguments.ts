import { BACKEND_NAMES } from "@tfjs-diffusion/core/backend";
import { type Borders } from "@tfjs-diffusion/core/pipelines";
import { ifGiven, number, oneOf, parseOptions, plainName, whole, wrong } from "./option-values.js";
import { SAMPLER_CLASSES } from "./samplers.js";
import { SHIPPED_LORAS, SHIPPED_NAMES } from "./shipped.js";
import { withSteps } from "./steps.js";
import { flagHelp, flagOptions, helpRow, readFlags, type TableValues } from "./table-options.js";
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

/** A network beside the model, and the picture that it reads. */
export interface BesideArgument {
  model: string;
  image: string;
  scale?: number;
}

/** The arguments of `diffusion generate` and `diffusion edit`. Where one is undefined, the model's default holds. */
export interface PictureArguments {
  /** A folder, a `.safetensors` file or a name on the hub. */
  model: string;
  prompts: readonly string[];
  /** The pipeline's options, besides `seed`, `numImages` and those that files or samplers are read for. */
  options: TableValues;
  seed: number;
  /** Pictures of each prompt or class. */
  count: number;
  sampler?: string;
  loras: LoraArgument[];
  words: WordArgument[];
  /** Networks beside the model, each with the picture that it reads. */
  control?: BesideArgument;
  adapter?: BesideArgument;
  ipAdapter?: BesideArgument & { encoder?: string };
  /** The picture to begin with, and what to do with it. */
  image?: string;
  mask?: string;
  outpaint?: Borders;
  /** Whether to put the picture's own pixels back outside the mask. */
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

/** The words of `--dtype`, and the library's names for them. */
const DTYPES = { fp16: "F16", float16: "F16", fp32: "F32", float32: "F32" } as const;

/** The value of `--dtype`. */
export function precision(option: string, text: string): "F16" | "F32" {
  return DTYPES[oneOf(option, text, Object.keys(DTYPES) as (keyof typeof DTYPES)[])];
}

/** What `--help` says of drawing over a picture. */
export const EDITS_HELP = `  --mask FILE.png              redraw only where this picture is white, or where its transparent layer is painted
  --outpaint N|T,R,B,L         extend the picture by N pixels on every side, or at its top, right, bottom and left
  --no-paste                   do not put the picture's own pixels back outside the mask`;

const COMMON_HELP = `${EDITS_HELP}
${flagHelp(29, {
  seed: " (default 0); the second picture has the next seed, and so on",
  width: ", a multiple of 8 for Stable Diffusion; the first picture is scaled to it (default: the model's)",
  height: ", the same",
})}
${helpRow("--sampler NAME", `another sampler than the model's own: ${[...SAMPLER_CLASSES.keys()].join(", ")}`, 29)}
  --lora FILE[:SCALE]          add a LoRA: a file, a folder, or for portraits ${SHIPPED_LORAS.join(", ")}; can be repeated
  --textual-inversion FILE[:WORD]   add a word that the text encoder has learned; can be repeated
  --controlnet MODEL --control-image FILE.png [--control-scale N]   follow a picture of edges, depths or poses
  --adapter MODEL --adapter-image FILE.png [--adapter-scale N]      the same with a T2I-Adapter
  --ip-adapter FILE.safetensors --ip-image FILE.png [--ip-scale N] [--ip-encoder FOLDER]
                               draw what a picture shows, or in its style, with an IP-Adapter; its image encoder is by
                               default the folder image_encoder beside it
  --backend NAME               ${BACKEND_NAMES.join(", ")} (default: the best that loads here)
  --out PATH                   a .png file, or a folder (default out/)

  How to open the model:
  --variant NAME               which of several sets of weights to read, such as fp16
  --revision NAME              a branch, a tag or a commit of a model on the hub
  --dtype fp16|fp32            round the weights to this precision
  --config PATH                for single files of unusual sizes: a folder, or a name on the hub, with their configs
  --tokenizer PATH             for single files: a folder, or a name on the hub, with CLIP's vocabulary
  --prediction epsilon|v_prediction   for single files that do not say what the network predicts
  --help                       this text

A model takes only the options of its kind. An option that it does not take is refused before the weights are read.
`;

const MODELS = `MODEL is a folder in the layout of diffusers, a single .safetensors file, a shipped model (${SHIPPED_NAMES.join(", ")}),
or a name on the hub ("owner/name"), which is downloaded into the cache of Python's huggingface_hub. The environment
variables HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE have the same meaning as there.`;

export const GENERATE_HELP = `Draws pictures with Stable Diffusion 1.x, 2.x or XL, unCLIP, DDPM, or a model of this library.
Each PNG file holds its settings.

  diffusion generate MODEL "a prompt" ["another prompt" …]     for a model that reads prompts
  diffusion generate MODEL                                     for a model that draws from noise alone
  diffusion generate MODEL --class 3                           for a model that draws a class
  diffusion generate MODEL --init FILE.png                     for a model that varies a picture
                                                               (in this repository: npm start -- generate …)

${MODELS}

  --init FILE.png              begin with this picture instead of noise
${COMMON_HELP}`;

export const EDIT_HELP = `Draws over a picture: all of it, where a mask is white, or beyond its borders. Each PNG file holds its settings.

  diffusion edit MODEL FILE.png "a prompt"     (in this repository: npm start -- edit …)

${MODELS}

${COMMON_HELP}`;

const TEXT = { type: "string" } as const;
const LIST = { type: "string", multiple: true, default: [] as string[] } as const;
const FLAG = { type: "boolean", default: false } as const;
/** The options of drawing over a picture, besides those of the table. */
export const EDITS = { mask: TEXT, outpaint: TEXT, "no-paste": FLAG } as const;
const COMMON = {
  ...EDITS,
  sampler: TEXT,
  lora: LIST,
  "textual-inversion": LIST,
  out: TEXT,
  backend: TEXT,
  controlnet: TEXT,
  "control-image": TEXT,
  "control-scale": TEXT,
  adapter: TEXT,
  "adapter-image": TEXT,
  "adapter-scale": TEXT,
  "ip-adapter": TEXT,
  "ip-image": TEXT,
  "ip-scale": TEXT,
  "ip-encoder": TEXT,
  variant: TEXT,
  revision: TEXT,
  dtype: TEXT,
  config: TEXT,
  tokenizer: TEXT,
  prediction: TEXT,
  help: { type: "boolean", short: "h", default: false },
} as const;

/** The largest side of a picture that fits a PNG file and any memory; the pipeline says what it can draw. */
const MOST_PIXELS = 16_384;

/**
 * Reads the words after `generate`. Whether a prompt is needed, the model decides.
 *
 * @throws UsageError for an unknown option, a value out of its range, or no model
 */
export function readGenerateArguments(args: string[]): PictureArguments | "help" {
  const { values, positionals } = parseOptions(args, { ...COMMON, init: TEXT }, flagOptions());
  if (values.help) return "help";
  const [model, ...prompts] = positionals;
  if (!model) throw new UsageError('generate: no model is given; write diffusion generate MODEL "a prompt".');
  return { ...common(values, values.init), model, prompts };
}

/**
 * Reads the words after `edit`.
 *
 * @throws UsageError for an unknown option, a value out of its range, or no model and picture
 */
export function readEditArguments(args: string[]): PictureArguments | "help" {
  const { values, positionals } = parseOptions(args, COMMON, flagOptions());
  if (values.help) return "help";
  const [model, image, ...prompts] = positionals;
  if (!model || !image) {
    const missing = model ? "no picture is given" : "no model and no picture are given";
    throw new UsageError(`edit: ${missing}; write diffusion edit MODEL FILE.png "a prompt".`);
  }
  return { ...common(values, image), model, prompts };
}

type EditValues = ReturnType<typeof parseOptions<typeof EDITS>>["values"];

/**
 * The options of drawing over a picture.
 *
 * @throws UsageError for options that exclude or need each other
 */
export function readEdits(
  values: EditValues,
  image: string | undefined,
  { strength, maskBlur, paddingMaskCrop }: TableValues,
): Pick<PictureArguments, "image" | "mask" | "outpaint" | "paste"> {
  const { mask, "no-paste": noPaste } = values;
  const outpaint = ifGiven(borders, "outpaint", values.outpaint);
  const forPictures = { strength, mask, outpaint, "mask-blur": maskBlur, "no-paste": noPaste || undefined };
  const needless = Object.entries(forPictures).find(([, value]) => value !== undefined);
  if (image === undefined && needless)
    throw new UsageError(`--${needless[0]} needs a picture to begin with; add --init FILE.png.`);
  if (mask !== undefined && outpaint !== undefined)
    throw new UsageError("--mask, --outpaint: both were given; give one. --outpaint makes its own mask.");
  const paste = (mask !== undefined || outpaint !== undefined) && !noPaste;
  if (maskBlur !== undefined && !paste)
    throw new UsageError("--mask-blur needs --mask or --outpaint, and cannot be used with --no-paste.");
  if (paddingMaskCrop !== undefined && mask === undefined)
    throw new UsageError("--padding-mask-crop needs --mask: it draws only what the mask covers.");
  return { image, mask, outpaint, paste };
}

type Values = ReturnType<typeof parseOptions<typeof COMMON>>["values"];

function common(values: Values, image: string | undefined): Omit<PictureArguments, "model" | "prompts"> {
  const { seed = 0, numImages: count = 1, ...options } = readFlags(values);
  withSteps(options, 1); // Refuses two kinds of steps now; the default is the model's, which is not open yet.
  return {
    options,
    seed,
    count,
    sampler: ifGiven(oneOf, "sampler", values.sampler, [...SAMPLER_CLASSES.keys()]),
    loras: values.lora.map(lora),
    words: values["textual-inversion"].map(word),
    control: beside(values, ["controlnet", "control-image", "control-scale"]),
    adapter: beside(values, ["adapter", "adapter-image", "adapter-scale"]),
    ipAdapter: ipAdapter(values),
    ...readEdits(values, image, options),
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

/** `FILE:0.8`, or its folder; a colon that no number follows belongs to the file's name. */
export function lora(text: string): LoraArgument {
  const [, from = text, scale = "1"] = /^(.+):([-+]?(?:\d+\.?\d*|\.\d+))$/.exec(text) ?? [];
  return { from, scale: number("lora", scale) };
}

/** `FILE:<word>`; the file's name ends in `.safetensors`. */
function word(text: string): WordArgument {
  const [, from = text, token] = /^(.+\.safetensors):(.+)$/i.exec(text) ?? [];
  return token === undefined ? { from } : { from, token };
}

type BesideFlag = Exclude<keyof typeof COMMON, "lora" | "textual-inversion" | "help" | "no-paste">;

/** A network, its picture and its scale, by their flags; undefined if none of them is given. */
function beside(
  values: Values,
  [modelFlag, imageFlag, scaleFlag]: readonly [BesideFlag, BesideFlag, BesideFlag],
): BesideArgument | undefined {
  const [model, image, scale] = [values[modelFlag], values[imageFlag], values[scaleFlag]];
  if (model === undefined && image === undefined && scale === undefined) return undefined;
  if (model === undefined || image === undefined)
    throw new UsageError(`--${modelFlag}, --${imageFlag}: give both, the network and the picture that it reads.`);
  return { model, image, scale: ifGiven(number, scaleFlag, scale) };
}

function ipAdapter(values: Values): PictureArguments["ipAdapter"] {
  const encoder = values["ip-encoder"];
  const adapter = beside(values, ["ip-adapter", "ip-image", "ip-scale"]);
  if (encoder !== undefined && !adapter)
    throw new UsageError("--ip-encoder: given without an adapter; add --ip-adapter and --ip-image.");
  return adapter && { ...adapter, encoder };
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
