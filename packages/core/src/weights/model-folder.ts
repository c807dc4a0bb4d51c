import type { Parameter } from "../nn/parameter.js";
import { fileExists, joinPath, listFolder } from "../platform/files.js";
import { WeightsReadError } from "./errors.js";
import { readParameters, type WeightPrecision } from "./parameters.js";
import { openSafetensors, type SafetensorsFile } from "./safetensors.js";
import { readJsonObject } from "./read-json.js";
import { readShardNames } from "./shards.js";

/** File names of diffusers and transformers, without `.safetensors`. */
export const WEIGHT_FILES = { diffusers: "diffusion_pytorch_model", transformers: "model" } as const;
export type WeightsLibrary = keyof typeof WEIGHT_FILES;

/** How to write a model folder. */
export interface SaveOptions {
  /** Precision of the weights: "F16" (11 significant bits) and "BF16" (8) halve the size. Default "F32". */
  dtype?: WeightPrecision;
  /**
   * Variant in the names of the files, such as "fp16" in `model.fp16.safetensors`, so that a folder can hold two
   * precisions.
   */
  variant?: string;
  /**
   * Largest size of a file in bytes; larger weights are split into several files, with an index. Default 10 GB, as in
   * diffusers.
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

/**
 * Fills a network from the safetensors file or shards of a folder. `variant` chooses files such as
 * `model.fp16.safetensors`; `dtype` rounds the weights; the names of `library` are tried first.
 */
export async function readModelFolder(
  folder: string,
  parameters: ReadonlyMap<string, Parameter>,
  { variant, dtype, library }: { variant?: string; dtype?: WeightPrecision; library?: WeightsLibrary } = {},
): Promise<void> {
  const files = await openModelFolder(folder, variant, library);
  try {
    await readParameters(files, parameters, { dtype });
  } finally {
    await closeAll(files);
  }
}

/** Opens a folder's safetensors file or shards; the caller closes them. */
export async function openModelFolder(
  folder: string,
  variant?: string,
  library?: WeightsLibrary,
): Promise<SafetensorsFile[]> {
  const files: SafetensorsFile[] = [];
  try {
    for (const path of await weightFiles(folder, variant, library)) files.push(await openSafetensors(path));
    return files;
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

export async function closeAll(files: readonly SafetensorsFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()));
}

/** @throws RangeError for a name that could lead out of the folder */
export function requireVariant(variant: string | undefined): void {
  if (!variant || /^[\w-]+$/.test(variant)) return;
  throw new RangeError(`variant: ${JSON.stringify(variant)}; expected letters, digits, - and _, such as "fp16".`);
}

async function weightFiles(folder: string, variant?: string, library: WeightsLibrary = "diffusers"): Promise<string[]> {
  requireVariant(variant);
  const suffix = variant ? `.${variant}` : "";
  const tried: string[] = [];
  // On a web server, each name that is not there costs a request and prints an error in the browser.
  for (const base of new Set([WEIGHT_FILES[library], ...Object.values(WEIGHT_FILES)])) {
    const single = `${base}${suffix}.safetensors`;
    if (await fileExists(joinPath(folder, single))) return [joinPath(folder, single)];
    // Older versions of diffusers and transformers put the variant at another position in the name.
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

/** Says what a folder holds instead of the expected weights, and what to do. */
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
  return names.length === 0 ? " The folder is empty or does not exist." : ` It holds ${names.slice(0, 10).join(", ")}.`;
}
