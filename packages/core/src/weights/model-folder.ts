import type { Parameter } from "../nn/parameter.js";
import { fileExists, joinPath, readText, writeText } from "../platform.js";
import { WeightsFormatError } from "./errors.js";
import { parametersToTensors, readParameters } from "./parameters.js";
import { openSafetensors, type SafetensorsFile } from "./safetensors.js";
import { writeSafetensors } from "./write-safetensors.js";

/** File names, without `.safetensors`: diffusers' and transformers'. */
const WEIGHT_FILES = { diffusers: "diffusion_pytorch_model", transformers: "model" } as const;
export type WeightsLibrary = keyof typeof WEIGHT_FILES;

export interface SaveOptions {
  /** "F16" halves the file and rounds each weight to 11 binary digits. Default "F32". */
  dtype?: "F32" | "F16";
}

/** Reads a model folder's `config.json`. */
export async function readConfig(folder: string): Promise<Record<string, unknown>> {
  const path = joinPath(folder, "config.json");
  let config: unknown;
  try {
    config = JSON.parse(await readText(path));
  } catch (error) {
    throw new WeightsFormatError(
      `${path} cannot be read (${(error as Error).message}). Give a folder with a config.json.`,
      { cause: error },
    );
  }
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new WeightsFormatError(
      `${path} holds no object; a config.json as diffusers or transformers write it is expected.`,
    );
  }
  return config as Record<string, unknown>;
}

/** Writes a network as diffusers' or transformers' save_pretrained does: `config.json` and a safetensors file. */
export async function saveModelFolder(
  folder: string,
  library: WeightsLibrary,
  config: object,
  parameters: ReadonlyMap<string, Parameter>,
  { dtype = "F32" }: SaveOptions = {},
): Promise<void> {
  const tensors = await parametersToTensors(parameters, dtype);
  await writeSafetensors(joinPath(folder, `${WEIGHT_FILES[library]}.safetensors`), tensors, { format: "pt" });
  await writeText(joinPath(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
}

/** Fills a network from a folder's safetensors file or shards; `variant` picks files such as `model.fp16.safetensors`. */
export async function readModelFolder(
  folder: string,
  parameters: ReadonlyMap<string, Parameter>,
  variant?: string,
): Promise<void> {
  const files: SafetensorsFile[] = [];
  try {
    for (const path of await weightFiles(folder, variant)) files.push(await openSafetensors(path));
    await readParameters(files, parameters);
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

async function weightFiles(folder: string, variant?: string): Promise<string[]> {
  const suffix = variant ? `.${variant}` : "";
  const tried: string[] = [];
  for (const base of Object.values(WEIGHT_FILES)) {
    const single = `${base}${suffix}.safetensors`;
    const index = `${base}.safetensors.index${suffix}.json`;
    if (await fileExists(joinPath(folder, single))) return [joinPath(folder, single)];
    if (await fileExists(joinPath(folder, index))) return shardFiles(folder, index);
    tried.push(single, index);
  }
  throw new WeightsFormatError(
    `${folder} has no weights${variant ? ` of the variant "${variant}"` : ""}: looked for ${tried.join(", ")}. ` +
      "Pickled weights (.bin, .ckpt, .pt) are not read: convert them to safetensors.",
  );
}

/** The shards that an index names; they must lie in the same folder. */
async function shardFiles(folder: string, index: string): Promise<string[]> {
  const path = joinPath(folder, index);
  const { weight_map: map } = JSON.parse(await readText(path)) as { weight_map?: unknown };
  const names = typeof map === "object" && map !== null ? [...new Set(Object.values(map))] : [];
  const bad = names.find((name) => typeof name !== "string" || !/^[^/\\:]+\.safetensors$/.test(name));
  if (names.length === 0 || bad !== undefined) {
    throw new WeightsFormatError(
      `${path}: its weight_map ${bad === undefined ? "is empty" : `names ${JSON.stringify(bad)}`}; safetensors files of the same folder are expected.`,
    );
  }
  return names.map((name) => joinPath(folder, name as string));
}
