import { fileExists, isAddress, localPath, readText } from "../platform/files.js";
import { warn } from "../platform/warn.js";
import { WeightsFormatError } from "../weights/errors.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { flag, flawOf, number, object, orNull } from "../weights/config-schema.js";
import { jsonObject } from "../weights/read-json.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import type { LoraGroup } from "./lora-groups.js";
import type { LoraPart } from "./lora-models.js";
import { PEFT_PREFIX } from "./lora-names.js";

/** Settings of PEFT's LoraConfig, with their names there. */
export type LoraSettings = Readonly<Record<string, unknown>>;

/** The PEFT methods that are supported, with the names of their formats here. */
const PEFT_TYPES: Readonly<Record<string, string>> = { LORA: "LoRA", LOHA: "LoHa", LOKR: "LoKr" };

const NETWORK_PREFIX = /^(?:unet|text_encoder(?:_2)?)\./;

/** Settings with unsupported effects, and a test whether a value has such an effect. */
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
  // These initialisations change the base weights, so that the file alone is not enough.
  init_lora_weights: (kind) => typeof kind === "string" && /^(pissa|olora|corda|loftq|lora_ga)/i.test(kind),
};

/**
 * The kinds of the settings that are read; an alpha is checked with the module that it is for, because it may also come
 * from the tensors.
 */
const SCHEMA = {
  r: orNull(number<number | null>(null)),
  use_rslora: flag(false),
  use_dora: flag(false),
  alpha_pattern: orNull(object({})),
  rank_pattern: orNull(object({})),
};

/**
 * The settings of a LoRA for one network. `given` has precedence. Next come those that diffusers writes to the file's
 * metadata (`lora_adapter_metadata`): a pipeline's save writes `unet.lora_alpha`; a network's own save
 * (`unet.save_lora_adapter`) writes `lora_alpha`, which applies to every network. Last come those `beside` the file.
 *
 * @throws WeightsFormatError if they cannot be read or are not supported
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
  const flaw = flawOf(SCHEMA, settings);
  if (flaw) {
    throw new WeightsFormatError(
      `${file.name}: the LoRA's setting ${flaw.key} is ${flaw.value}; expected ${flaw.expected}. Give the right settings ` +
        "as adapterConfig.",
    );
  }
  if (unknown.length === 0) return settings;
  throw new WeightsFormatError(
    `${file.name}: its settings ${unknown.map((key) => `${key} = ${JSON.stringify(settings[key])}`).join(", ")} change the LoRA ` +
      "in ways that are not supported. Fuse it into its model with the program that made it, and open the result.",
  );
}

/**
 * @throws WeightsFormatError if the settings name another format than that of the tensors, or `use_dora` without
 * magnitudes
 */
export function requireSettingsFit(
  file: string,
  settings: LoraSettings,
  { name, format, magnitude }: Pick<LoraGroup, "name" | "format" | "magnitude">,
): void {
  if (!format.rank) return;
  const type = settings.peft_type as string | null | undefined; // loraSettings has checked that it is one of PEFT_TYPES.
  if (typeof type === "string" && PEFT_TYPES[type] !== format.name)
    throw disagreement(file, `peft_type = ${JSON.stringify(type)}`, `the tensors of ${name} are of ${format.name}`);
  if (settings.use_dora === true && !magnitude)
    throw disagreement(file, "use_dora = true", `${name} has no lora_magnitude_vector`);
}

function disagreement(file: string, setting: string, found: string): WeightsFormatError {
  return new WeightsFormatError(`${file}: its settings say ${setting}, but ${found}. Save it again with its program.`);
}

/** The name of a file at the end of a path, or of an address with or without a query. */
const FILE_NAME = { path: /[^/\\]*$/, address: /[^/?#]*(?=(?:[?#].*)?$)/s };
const PEFT_FILE = "adapter_model.safetensors";

/**
 * The settings in the `adapter_config.json` next to a file that does not have them inside: at a path, a file: address,
 * or on a server. Servers are asked only for files with the names of PEFT, of the file or of its tensors. Undefined if
 * there are none; for PEFT's own files with a warning.
 */
export async function settingsBeside(
  from: BytesFrom,
  { name, metadata, tensors }: Pick<SafetensorsFile, "name" | "metadata" | "tensors">,
): Promise<LoraSettings | undefined> {
  const names = [...tensors.keys()];
  if (metadata.lora_adapter_metadata !== undefined || names.some((stored) => stored.endsWith(".alpha")))
    return undefined;
  const place = typeof from === "string" || from instanceof URL ? await localPath(from) : "data:";
  const pattern = isAddress(place) ? FILE_NAME.address : FILE_NAME.path;
  const isPeft = pattern.exec(place)?.[0] === PEFT_FILE || names.some((stored) => PEFT_PREFIX.test(stored));
  const isAlone = /^(data|blob):/i.test(place) || (isAddress(place) && !isPeft);
  const config = isAlone ? undefined : place.replace(pattern, "adapter_config.json");
  if (config !== undefined && (await fileExists(config))) return parsed(config, await readText(config));
  if (isPeft)
    warn(
      `${name}: has the names of PEFT, and no alpha, which PEFT writes to ${config ?? "adapter_config.json"}; it is added ` +
        "as if alpha were the rank (alpha / rank = 1). Give its settings as { adapterConfig }.",
    );
  return undefined;
}

function parsed(name: string, text: string): LoraSettings {
  return jsonObject(name, text, { remedy: "It holds the settings of the LoRA: download it again." });
}

/**
 * The factor of a change: alpha / rank, or alpha / sqrt(rank) with `use_rslora` (Kalajdzievski 2023). A module's own
 * alpha (`alpha_pattern`) has precedence over the general one; without alpha the factor is 1. The rank is that of the
 * tensors; `r` and `rank_pattern` are used only if they have none (see {@link statedRank}).
 *
 * @param module its path in the network, such as `mid_block.attentions.0.proj_in`
 * @param stored the alpha stored with the module's tensors, as kohya's scripts write it
 */
export function loraFactor(settings: LoraSettings, module: string, rank: number, stored?: number): number {
  // PEFT names it alpha in LoHa and LoKr.
  const general = settings.lora_alpha ?? settings.alpha;
  const alpha = stored ?? patternValue("alpha_pattern", settings, module) ?? general;
  if (alpha === undefined || alpha === null) return 1;
  if (typeof alpha !== "number" || !Number.isFinite(alpha)) {
    throw new WeightsFormatError(`The LoRA's alpha of ${module} is ${JSON.stringify(alpha)}; expected a number.`);
  }
  return alpha / (settings.use_rslora === true ? Math.sqrt(rank) : rank);
}

/** The rank of a module in the settings; undefined if they have none. */
export function statedRank(settings: LoraSettings, module: string): number | undefined {
  const rank = patternValue("rank_pattern", settings, module) ?? settings.r;
  return typeof rank === "number" && rank > 0 ? rank : undefined;
}

/**
 * PEFT's patterns are regular expressions. Only those that are plain module names are supported, because others could
 * take forever.
 */
const PLAIN_PATTERN = /^\^?(?:[\w-]|\\?\.(?![*+?{]))+\$?$/;

/** PEFT takes the first pattern that matches the end of the path, starting at a dot. */
function patternValue(key: "alpha_pattern" | "rank_pattern", settings: LoraSettings, module: string): unknown {
  for (const [pattern, value] of Object.entries(settings[key] ?? {})) {
    if (!PLAIN_PATTERN.test(pattern)) {
      throw new WeightsFormatError(
        `The LoRA's ${key} ${JSON.stringify(pattern)} is a regular expression; only plain names of modules are supported.`,
      );
    }
    if (new RegExp(`^(?:.*\\.)?(?:${pattern})$`).test(module)) return value;
  }
  return undefined;
}
