import { fileExists, localPath, readText } from "../platform/files.js";
import { warn } from "../platform/warn.js";
import { WeightsFormatError } from "../weights/errors.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import type { LoraGroup } from "./lora-groups.js";
import type { LoraPart } from "./lora-names.js";

/** Settings of PEFT's LoraConfig, by their names there. */
export type LoraSettings = Readonly<Record<string, unknown>>;

/** PEFT's methods that are read, with the names of their formats here. */
const PEFT_TYPES: Readonly<Record<string, string>> = { LORA: "LoRA", LOHA: "LoHa", LOKR: "LoKr" };

const NETWORK_PREFIX = /^(?:unet|text_encoder(?:_2)?)\./;

/** Settings that change what is computed, in ways that are not computed here, and when they do. */
const UNKNOWN_WHEN: Readonly<Record<string, (value: unknown) => boolean>> = {
  peft_type: (type) => typeof type !== "string" || !Object.hasOwn(PEFT_TYPES, type),
  use_qalora: (isOn) => isOn === true,
  lora_bias: (isOn) => isOn === true,
  bias: (which) => which !== "none",
  fan_in_fan_out: (isOn) => isOn === true,
  modules_to_save: (modules) => !Array.isArray(modules) || modules.length > 0,
  trainable_token_indices: () => true,
  target_parameters: (names) => !Array.isArray(names) || names.length > 0,
  layer_replication: () => true,
  alora_invocation_tokens: () => true,
  // These take a part out of the weights they start from, so that the file alone says nothing.
  init_lora_weights: (kind) => typeof kind === "string" && /^(pissa|olora|corda|loftq|lora_ga)/i.test(kind),
};

/**
 * The settings of a LoRA for one network. `given` comes first, then what diffusers keeps in the file's metadata
 * (`lora_adapter_metadata`): a pipeline's save writes `unet.lora_alpha`, a network's own (`unet.save_lora_adapter`)
 * writes `lora_alpha`, which then counts for every network. Last come those `beside` the file.
 *
 * @throws WeightsFormatError if they cannot be read, or ask for what is not computed here
 */
export function loraSettings(
  file: SafetensorsFile,
  part: LoraPart,
  { given, beside = {} }: { given?: LoraSettings; beside?: LoraSettings },
): LoraSettings {
  const text = file.metadata.lora_adapter_metadata;
  const stored = text === undefined ? beside : parsed(`${file.name} (lora_adapter_metadata)`, text);
  const entries = Object.entries(given ?? stored);
  const common = entries.filter(([key]) => !NETWORK_PREFIX.test(key));
  const own = entries.filter(([key]) => key.startsWith(`${part}.`));
  const settings = Object.fromEntries([
    ...common,
    ...own.map(([key, value]) => [key.slice(part.length + 1), value] as const),
  ]);
  const unknown = Object.keys(UNKNOWN_WHEN).filter(
    (key) => (settings[key] ?? null) !== null && UNKNOWN_WHEN[key]!(settings[key]),
  );
  if (unknown.length === 0) return settings;
  throw new WeightsFormatError(
    `${file.name}: its settings ${unknown.map((key) => `${key} = ${JSON.stringify(settings[key])}`).join(", ")} change what a LoRA ` +
      "computes, in ways that are not known here. Fuse it into its model with the program that made it, and open that.",
  );
}

/**
 * Throws WeightsFormatError where the settings ask for another method than a change's tensors are of: its format, and
 * with `use_dora` its magnitudes.
 */
export function requireSettingsFit(
  file: string,
  settings: LoraSettings,
  { name, format, magnitude }: Pick<LoraGroup, "name" | "format" | "magnitude">,
): void {
  if (!format.rank) return;
  const type = settings.peft_type as string | null | undefined; // One of PEFT_TYPES, as loraSettings checked.
  if (typeof type === "string" && PEFT_TYPES[type] !== format.name)
    throw disagreement(file, `peft_type = ${JSON.stringify(type)}`, `the tensors of ${name} are of ${format.name}`);
  if (settings.use_dora === true && !magnitude)
    throw disagreement(file, "use_dora = true", `${name} has no lora_magnitude_vector`);
}

function disagreement(file: string, setting: string, found: string): WeightsFormatError {
  return new WeightsFormatError(`${file}: its settings say ${setting}, but ${found}. Save it again with its program.`);
}

/** PEFT's own name, at the end of a path or of an address with or without a query. */
const PEFT_FILE = /(^|[/\\])adapter_model\.safetensors(?=$|[?#])/;

/**
 * The settings beside a file of PEFT's own, `adapter_model.safetensors`, wherever that is: a path, a file: address, or
 * on a server. undefined for any other file, and, with a warning, where there are none.
 */
export async function settingsBeside(from: BytesFrom): Promise<LoraSettings | undefined> {
  if (typeof from !== "string" && !(from instanceof URL)) return undefined;
  const place = await localPath(from);
  if (!PEFT_FILE.test(place)) return undefined;
  const config = place.replace(PEFT_FILE, "$1adapter_config.json");
  if (await fileExists(config)) return parsed(config, await readText(config));
  warn(`There is no ${config}, which has the alpha of this LoRA; it is added as if alpha were the rank.`);
  return undefined;
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
 * What a change is multiplied by: alpha / rank, or alpha / sqrt(rank) with `use_rslora` (Kalajdzievski 2023). The
 * module's own alpha (`alpha_pattern`) comes before the general one, and without any it is 1. The rank is that of the
 * tensors, so `r` and `rank_pattern` are asked only where those have none (see {@link statedRank}).
 *
 * @param module its path in the network, as `mid_block.attentions.0.proj_in`
 * @param stored the alpha that lies beside the module's tensors, as kohya's scripts write it
 */
export function loraFactor(settings: LoraSettings, module: string, rank: number, stored?: number): number {
  // PEFT calls it alpha in LoHa and LoKr.
  const general = settings.lora_alpha ?? settings.alpha;
  const alpha = stored ?? patternValue("alpha_pattern", settings, module) ?? general;
  if (alpha === undefined || alpha === null) return 1;
  if (typeof alpha !== "number" || !Number.isFinite(alpha)) {
    throw new WeightsFormatError(`The LoRA's alpha of ${module} is ${JSON.stringify(alpha)}; a number is expected.`);
  }
  return alpha / (settings.use_rslora === true ? Math.sqrt(rank) : rank);
}

/** The rank of a module as the settings have it; undefined where they have none. */
export function statedRank(settings: LoraSettings, module: string): number | undefined {
  const rank = patternValue("rank_pattern", settings, module) ?? settings.r;
  return typeof rank === "number" && rank > 0 ? rank : undefined;
}

/** Of PEFT's patterns, which are regular expressions, those that name modules: other ones could take forever. */
const PLAIN_PATTERN = /^\^?(?:[\w-]|\\?\.(?![*+?{]))+\$?$/;

/** PEFT takes the first pattern that the path ends with, from a dot on. */
function patternValue(key: "alpha_pattern" | "rank_pattern", settings: LoraSettings, module: string): unknown {
  for (const [pattern, value] of Object.entries(settings[key] ?? {})) {
    if (!PLAIN_PATTERN.test(pattern)) {
      throw new WeightsFormatError(
        `The LoRA's ${key} ${JSON.stringify(pattern)} is a regular expression; names of modules alone are read.`,
      );
    }
    if (new RegExp(`^(?:.*\\.)?(?:${pattern})$`).test(module)) return value;
  }
  return undefined;
}
