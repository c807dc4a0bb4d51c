import type { Parameter } from "../nn/parameter.js";
import { joinPath } from "../platform/files.js";
import { optionNames, requireKnownOptions } from "../platform/known-options.js";
import { replaceFolder } from "../platform/replace-folder.js";
import { writeText } from "../platform/write-files.js";
import { requireVariant, type SaveOptions, WEIGHT_FILES, type WeightsLibrary } from "./model-folder.js";
import { parametersToTensors } from "./parameters.js";
import { writeShards } from "./write-shards.js";
import type { TensorToWrite } from "./write-safetensors.js";

const OPTIONS = optionNames<SaveOptions>()({ dtype: true, variant: true, maxShardBytes: true });

/** @throws RangeError for an option that saving does not have */
export function requireSaveOptions(save: SaveOptions): void {
  requireKnownOptions("saving", save, OPTIONS);
}

/**
 * Writes a network as diffusers' or transformers' save_pretrained does: `config.json` and safetensors files. At every
 * moment the folder holds the old network or the new one: see {@link replaceFolder}.
 */
export async function saveModelFolder(
  folder: string,
  library: WeightsLibrary,
  config: object,
  parameters: ReadonlyMap<string, Parameter>,
  save: SaveOptions = {},
): Promise<void> {
  requireSaveOptions(save);
  const { dtype = "F32", ...options } = save;
  await writeModelFolder(folder, library, config, await parametersToTensors(parameters, dtype), options);
}

/** Like {@link saveModelFolder}, for tensors from any source. */
export async function writeModelFolder(
  folder: string,
  library: WeightsLibrary,
  config: object,
  tensors: ReadonlyMap<string, TensorToWrite>,
  { variant, maxShardBytes = 10e9 }: Omit<SaveOptions, "dtype"> = {},
): Promise<void> {
  requireVariant(variant);
  await replaceFolder(folder, async (to) => {
    await writeShards(to, { base: WEIGHT_FILES[library], variant, tensors, maxShardBytes });
    await writeText(joinPath(to, "config.json"), configJson(config));
  });
}

/** Keys whose values transformers accepts only as Python floats: 1 must be written 1.0. */
const FLOAT_KEYS = ["initializer_factor", "initializer_range", "layer_norm_eps"];

function configJson(config: object): string {
  const whole = new RegExp(`("(?:${FLOAT_KEYS.join("|")})": -?\\d+)(?=,?$)`, "gm");
  return `${JSON.stringify(sorted(config), null, 2).replace(whole, "$1.0")}\n`;
}

/** The same object with sorted keys, as the Python libraries write it. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, sorted(entry)]),
  );
}
