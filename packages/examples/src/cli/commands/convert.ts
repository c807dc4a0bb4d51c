import { existsSync, readdirSync, statSync } from "node:fs";
import {
  CLIP_VOCABULARY,
  convertFolder,
  convertLora,
  folderToSingleFile,
  singleFileToFolder,
} from "@tfjs-diffusion/core/layouts";
import { fromCaller } from "../options/from-caller.js";
import { modelFrom } from "../options/model-from.js";
import { isWeightsFile, refuseForFolders } from "../files/open-model.js";
import { ifGiven, oneOf, parseOptions, plainName, wrong } from "../options/option-values.js";
import { precision } from "../options/picture-arguments.js";
import { withDownloadLine } from "../terminal/download-line.js";
import { untilStopped } from "../terminal/stopped.js";
import { UsageError } from "../options/usage-error.js";

export const CONVERT_HELP = `Writes a checkpoint in another form. It converts one tensor after the other, so that large models need little memory.

  diffusion convert FILE.safetensors FOLDER       a single file as a folder of diffusers
  diffusion convert FOLDER FILE.safetensors       the inverse; the folder may be a name on the hub
  diffusion convert FOLDER FOLDER                 the same folder, in another precision or other shards
  diffusion convert LORA.safetensors TO.safetensors --lora kohya|diffusers
                                                  a LoRA of any form in that of kohya's scripts or of diffusers
                                                  (in this repository: npm start -- convert …)

  --dtype fp16|fp32       the precision to write (default: unchanged)
  --shard SIZE            for folders: split files of weights that are larger, such as 2GB or 500MB (default 10GB)
  --variant NAME          which of several sets of weights to read from a folder, such as fp16
  --save-variant NAME     the variant in the names of the files that are written to a folder
  --config PATH           for single files of unusual sizes: a folder, or a name on the hub, with their configs
  --tokenizer PATH        for single files: a folder, or a name on the hub, with CLIP's vocabulary (default: that of
                          --config, or ${CLIP_VOCABULARY})
  --prediction epsilon|v_prediction   for single files that do not say what the network predicts
  --lora kohya|diffusers  the form to write a LoRA in
  --ema                   for single files: use the averaged weights
  --without-scheduler     for a single file from a folder: leave out what it cannot say of the scheduler
  --force                 overwrite existing files
  --help                  this text
`;

const TEXT = { type: "string" } as const;
const FLAG = { type: "boolean", default: false } as const;
const OPTIONS = {
  dtype: TEXT,
  shard: TEXT,
  variant: TEXT,
  "save-variant": TEXT,
  config: TEXT,
  tokenizer: TEXT,
  prediction: TEXT,
  lora: TEXT,
  ema: FLAG,
  "without-scheduler": FLAG,
  force: FLAG,
  help: { type: "boolean", short: "h", default: false },
} as const;

/** The arguments of `diffusion convert`. */
export interface ConvertArguments {
  from: string;
  to: string;
  dtype?: "F16" | "F32";
  maxShardBytes?: number;
  variant?: string;
  saveVariant?: string;
  config?: string;
  tokenizer?: string;
  predictionType?: "epsilon" | "v_prediction";
  lora?: "kohya" | "diffusers";
  ema: boolean;
  withoutScheduler: boolean;
  force: boolean;
}

/**
 * Reads the words after `convert`.
 *
 * @throws UsageError for an unknown option, an invalid value, or not exactly two paths
 */
export function readConvertArguments(args: string[]): ConvertArguments | "help" {
  const { values, positionals } = parseOptions(args, OPTIONS);
  if (values.help) return "help";
  const [from, to, ...others] = positionals;
  if (!from || !to || others.length > 0)
    throw new UsageError(`convert: expected two paths, FROM and TO; got ${positionals.join(", ") || "none"}.`);
  return {
    from,
    to,
    variant: ifGiven(plainName, "variant", values.variant),
    saveVariant: ifGiven(plainName, "save-variant", values["save-variant"]),
    config: values.config,
    tokenizer: values.tokenizer,
    ema: values.ema,
    withoutScheduler: values["without-scheduler"],
    force: values.force,
    dtype: ifGiven(precision, "dtype", values.dtype),
    maxShardBytes: ifGiven(bytes, "shard", values.shard),
    lora: ifGiven(oneOf, "lora", values.lora, ["kohya", "diffusers"] as const),
    predictionType: ifGiven(oneOf, "prediction", values.prediction, ["epsilon", "v_prediction"] as const),
  };
}

const UNITS = { "": 1, K: 1e3, M: 1e6, G: 1e9 };

/** `2GB`, `500 MB`, `1000`: units of a thousand, as diffusers counts. */
function bytes(option: string, text: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?) ?([KMG]?)B?$/i.exec(text.trim()) ?? [];
  const size = Number(digits) * UNITS[unit.toUpperCase() as keyof typeof UNITS];
  if (!(size >= 1)) throw wrong(option, text, "a size such as 2GB or 500MB");
  return size;
}

/** `diffusion convert`. */
export async function convert(args: string[]): Promise<void> {
  const wanted = readConvertArguments(args);
  if (wanted === "help") return console.log(CONVERT_HELP);
  const [from, to] = [modelFrom(wanted.from), fromCaller(wanted.to)];
  if (isWeightsFile(to) && !/\.safetensors$/i.test(to))
    throw new UsageError(
      `convert: ${to} would be a pickle, which this program does not write; use a name that ends in .safetensors.`,
    );
  if (isWeightsFile(from) && isWeightsFile(to) && wanted.lora === undefined)
    throw new UsageError("convert: both are single files; one of them must be a folder. For a LoRA give --lora.");
  if (wanted.lora !== undefined && !(isWeightsFile(from) && isWeightsFile(to)))
    throw new UsageError(
      `convert: --lora writes a LoRA's file as another file; ${isWeightsFile(from) ? to : from} is not the name of a ` +
        ".safetensors file. In a folder, it is usually pytorch_lora_weights.safetensors.",
    );
  if (wanted.withoutScheduler && (isWeightsFile(from) || !isWeightsFile(to)))
    throw new UsageError("convert: --without-scheduler is for a folder that is written as a single file.");
  if (!wanted.force && isTaken(to))
    throw new UsageError(`convert: ${to} already exists. Choose another path, or overwrite it with --force.`);
  const { config, tokenizer, predictionType, ema } = wanted;
  refuseForFolders(from, { config, tokenizer, prediction: predictionType, ema });
  await untilStopped((signal) => write(from, to, wanted, signal));
  console.log(`Wrote ${to}.`);
}

async function write(from: string, to: string, wanted: ConvertArguments, signal: AbortSignal): Promise<void> {
  const { dtype, maxShardBytes, variant, saveVariant, config, tokenizer, predictionType, ema } = wanted;
  if (wanted.lora !== undefined) {
    await convertLora(from, to, { form: wanted.lora, config: config && modelFrom(config) });
  } else if (isWeightsFile(from)) {
    const source = tokenizer ?? (config === undefined ? CLIP_VOCABULARY : undefined);
    await singleFileToFolder(from, to, {
      dtype,
      maxShardBytes,
      variant: saveVariant,
      predictionType,
      ema,
      signal,
      config: config && modelFrom(config),
      tokenizer: source && modelFrom(source),
    });
  } else if (isWeightsFile(to)) {
    await folderToSingleFile(from, to, { variant, dtype, signal, withoutScheduler: wanted.withoutScheduler });
  } else {
    await withDownloadLine(from, (onProgress) =>
      convertFolder(from, to, { variant, dtype, maxShardBytes, saveVariant, signal, onProgress }),
    );
  }
}

function isTaken(path: string): boolean {
  return existsSync(path) && !(statSync(path).isDirectory() && readdirSync(path).length === 0);
}
