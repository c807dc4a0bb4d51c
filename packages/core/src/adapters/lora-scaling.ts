import { isNode } from "../platform/node-only.js";
import { fileExists, readText } from "../platform/files.js";
import { WeightsFormatError } from "../weights/errors.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import type { LoraPart } from "./lora-names.js";

/** Settings of PEFT's LoraConfig, as far as they are known. */
export type LoraSettings = Readonly<Record<string, unknown>>;

/** Settings that change what is computed, in ways that are not computed here, and when they do. */
const UNKNOWN_WHEN: Readonly<Record<string, (value: unknown) => boolean>> = {
  peft_type: (type) => type !== "LORA",
  use_dora: (isOn) => isOn === true,
  use_qalora: (isOn) => isOn === true,
  lora_bias: (isOn) => isOn === true,
  bias: (which) => which !== "none",
  fan_in_fan_out: (isOn) => isOn === true,
  modules_to_save: (modules) => !Array.isArray(modules) || modules.length > 0,
  trainable_token_indices: () => true,
  target_parameters: (names) => !Array.isArray(names) || names.length > 0,
};

/**
 * The settings of a LoRA for one network: those that diffusers keeps in the file's metadata, `lora_adapter_metadata`,
 * or where there are none, those of PEFT's own `adapter_config.json`.
 *
 * @throws WeightsFormatError if they cannot be read, or ask for what is not computed here
 */
export function loraSettings(file: SafetensorsFile, part: LoraPart, adapterConfig: LoraSettings = {}): LoraSettings {
  const text = file.metadata.lora_adapter_metadata;
  const all = text === undefined ? adapterConfig : parsed(`${file.name} (lora_adapter_metadata)`, text);
  const prefix = text === undefined ? "" : `${part}.`;
  const own = Object.entries(all).filter(([key]) => key.startsWith(prefix));
  const settings = Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]));
  const unknown = Object.keys(UNKNOWN_WHEN).filter(
    (key) => (settings[key] ?? null) !== null && UNKNOWN_WHEN[key]!(settings[key]),
  );
  if (unknown.length === 0) return settings;
  throw new WeightsFormatError(
    `${file.name}: its settings ${unknown.map((key) => `${key} = ${JSON.stringify(settings[key])}`).join(", ")} change what a LoRA ` +
      "computes, in ways that are not known here. Fuse it into its model with the program that made it, and open that.",
  );
}

/** The settings that lie beside a file of PEFT's own, `adapter_model.safetensors`; undefined for any other. */
export async function settingsBeside(from: BytesFrom): Promise<LoraSettings | undefined> {
  if (typeof from !== "string" || !isNode || !/(^|[/\\])adapter_model\.safetensors$/.test(from)) return undefined;
  const path = from.replace(/[^/\\]*$/, "adapter_config.json");
  return (await fileExists(path)) ? parsed(path, await readText(path)) : undefined;
}

function parsed(name: string, text: string): LoraSettings {
  try {
    const settings: unknown = JSON.parse(text);
    if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) return settings as LoraSettings;
    throw new Error("they are no object");
  } catch (error) {
    throw new WeightsFormatError(
      `${name}: the settings of the LoRA cannot be read (${(error as Error).message}). Download the file again.`,
      { cause: error },
    );
  }
}

/**
 * What a LoRA's product is multiplied by: alpha / rank, or alpha / sqrt(rank) with `use_rslora` (Kalajdzievski 2023).
 * The module's own alpha (`alpha_pattern`) comes before the general one, and without any it is 1. The rank is that of
 * the tensors, so `r` and `rank_pattern` are not asked.
 *
 * @param module its path in the network, as `mid_block.attentions.0.proj_in`
 * @param stored the alpha that lies beside the module's tensors, as kohya's scripts write it
 */
export function loraFactor(settings: LoraSettings, module: string, rank: number, stored?: number): number {
  const alpha = stored ?? patternAlpha(settings.alpha_pattern, module) ?? settings.lora_alpha;
  if (alpha === undefined || alpha === null) return 1;
  if (typeof alpha !== "number" || !Number.isFinite(alpha)) {
    throw new WeightsFormatError(`The LoRA's alpha of ${module} is ${JSON.stringify(alpha)}; a number is expected.`);
  }
  return alpha / (settings.use_rslora === true ? Math.sqrt(rank) : rank);
}

/** Of PEFT's patterns, which are regular expressions, those that name modules: other ones could take forever. */
const PLAIN_PATTERN = /^\^?(?:[\w-]|\\?\.(?![*+?{]))+\$?$/;

/** PEFT takes the first pattern that the path ends with, from a dot on. */
function patternAlpha(patterns: unknown, module: string): unknown {
  for (const [pattern, alpha] of Object.entries(patterns ?? {})) {
    if (!PLAIN_PATTERN.test(pattern)) {
      throw new WeightsFormatError(
        `The LoRA's alpha_pattern ${JSON.stringify(pattern)} is a regular expression; names of modules alone are read.`,
      );
    }
    if (new RegExp(`^(?:.*\\.)?(?:${pattern})$`).test(module)) return alpha;
  }
  return undefined;
}
