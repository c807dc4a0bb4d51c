import type { Parameter } from "../nn/parameter.js";
import { fileExists, joinPath, listFolder, writeText } from "../platform/files.js";
import { WeightsReadError } from "./errors.js";
import { parametersToTensors, readParameters, type WeightPrecision } from "./parameters.js";
import { openSafetensors, type SafetensorsFile } from "./safetensors.js";
import { readJsonObject } from "./read-json.js";
import { readShardNames, writeShards } from "./shards.js";
import type { TensorToWrite } from "./write-safetensors.js";

/** File names, without `.safetensors`: diffusers' and transformers'. */
const WEIGHT_FILES = { diffusers: "diffusion_pytorch_model", transformers: "model" } as const;
export type WeightsLibrary = keyof typeof WEIGHT_FILES;

/** How to write a model folder. */
export interface SaveOptions {
  /** "F16" halves the file and rounds each weight to 11 binary digits, "BF16" to 8. Default "F32". */
  dtype?: WeightPrecision;
  /** Marks the file's name, as in `model.fp16.safetensors`, so that two precisions can lie in one folder. */
  variant?: string;
  /**
   * Weights of more bytes than this are split into files that are not larger, with an index. Default 10 GB, as
   * diffusers has it.
   */
  maxShardBytes?: number;
}

/** Reads a model folder's `config.json`. */
export async function readConfig(folder: string): Promise<Record<string, unknown>> {
  return readJsonObject(joinPath(folder, "config.json"), {
    remedy: "Give a folder with a config.json.",
    expected: "a config.json as diffusers or transformers write it",
  });
}

/** Writes a network as diffusers' or transformers' save_pretrained does: `config.json` and safetensors files. */
export async function saveModelFolder(
  folder: string,
  library: WeightsLibrary,
  config: object,
  parameters: ReadonlyMap<string, Parameter>,
  { dtype = "F32", ...options }: SaveOptions = {},
): Promise<void> {
  await writeModelFolder(folder, library, config, await parametersToTensors(parameters, dtype), options);
}

/** The same for tensors that come from anywhere. */
export async function writeModelFolder(
  folder: string,
  library: WeightsLibrary,
  config: object,
  tensors: ReadonlyMap<string, TensorToWrite>,
  { variant, maxShardBytes = 10e9 }: Omit<SaveOptions, "dtype"> = {},
): Promise<void> {
  requireVariant(variant);
  await writeShards(folder, { base: WEIGHT_FILES[library], variant, tensors, maxShardBytes });
  await writeText(joinPath(folder, "config.json"), configJson(config));
}

/** Numbers that transformers takes as a Python float only: a 1 that is not written 1.0 it refuses. */
const FLOAT_KEYS = ["initializer_factor", "initializer_range", "layer_norm_eps"];

function configJson(config: object): string {
  const whole = new RegExp(`("(?:${FLOAT_KEYS.join("|")})": -?\\d+)(?=,?$)`, "gm");
  return `${JSON.stringify(sorted(config), null, 2).replace(whole, "$1.0")}\n`;
}

/** The same object with its keys in order, as the Python libraries write it. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, sorted(entry)]),
  );
}

/**
 * Fills a network from a folder's safetensors file or shards; `variant` picks files such as `model.fp16.safetensors`,
 * `dtype` rounds the weights.
 */
export async function readModelFolder(
  folder: string,
  parameters: ReadonlyMap<string, Parameter>,
  { variant, dtype }: { variant?: string; dtype?: WeightPrecision } = {},
): Promise<void> {
  const files = await openModelFolder(folder, variant);
  try {
    await readParameters(files, parameters, { dtype });
  } finally {
    await closeAll(files);
  }
}

/** Opens a folder's safetensors file or shards; the caller closes them. */
export async function openModelFolder(folder: string, variant?: string): Promise<SafetensorsFile[]> {
  const files: SafetensorsFile[] = [];
  try {
    for (const path of await weightFiles(folder, variant)) files.push(await openSafetensors(path));
    return files;
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

export async function closeAll(files: readonly SafetensorsFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()));
}

/** @throws RangeError for a name that would lead out of the folder */
function requireVariant(variant: string | undefined): void {
  if (!variant || /^[\w-]+$/.test(variant)) return;
  throw new RangeError(`variant: ${JSON.stringify(variant)}; expected letters, digits, - and _, such as "fp16".`);
}

async function weightFiles(folder: string, variant?: string): Promise<string[]> {
  requireVariant(variant);
  const suffix = variant ? `.${variant}` : "";
  const tried: string[] = [];
  for (const base of Object.values(WEIGHT_FILES)) {
    const single = `${base}${suffix}.safetensors`;
    if (await fileExists(joinPath(folder, single))) return [joinPath(folder, single)];
    // diffusers and transformers put the variant at the one place or, in older versions, at the other.
    const indexes = new Set([`${base}.safetensors.index${suffix}.json`, `${single}.index.json`]);
    for (const index of indexes) {
      if (await fileExists(joinPath(folder, index))) return readShardNames(folder, index);
    }
    tried.push(single, ...indexes);
  }
  throw new WeightsReadError(
    `${folder} has no weights${variant ? ` of the variant "${variant}"` : ""}: looked for ${tried.join(", ")}.${await whatIsThere(folder)}`,
  );
}

/** What a folder holds instead of the weights that were looked for, and what to do about it. */
async function whatIsThere(folder: string): Promise<string> {
  const names = await listFolder(folder);
  const variants = new Set(
    names.flatMap(
      (name) => /^(?:diffusion_pytorch_model|model)\.([^.]+?)(?:-\d+-of-\d+)?\.safetensors$/.exec(name)?.[1] ?? [],
    ),
  );
  if (variants.size > 0)
    return ` There is the variant ${[...variants].join(", ")}: give { variant: "${[...variants][0]}" }.`;
  const pickle = names.find((name) => /\.(bin|ckpt|pt|pth)$/.test(name));
  if (pickle)
    return ` ${pickle} is a pickle, which can run any code when opened, and is not read: convert it to safetensors.`;
  return names.length === 0 ? " The folder is empty or not there." : ` It holds ${names.slice(0, 10).join(", ")}.`;
}
