import { checkedGroups, type LoraGroup, shapesOf } from "../adapters/lora-groups.js";
import { LORA_PARTS, type LoraModels, type LoraPart } from "../adapters/lora-models.js";
import { loraFactor, loraSettings, type LoraSettings, settingsBeside, statedRank } from "../adapters/lora-settings.js";
import { configFolder } from "../hub/model-source.js";
import { buildModel } from "../models/build-model.js";
import { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip/clip-text-model.js";
import { type CheckpointFamily, PUBLISHED } from "../models/published-configs.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { fileExists, joinPath } from "../platform/files.js";
import { optionNames, requireKnownOptions } from "../platform/known-options.js";
import { WeightsFormatError } from "../weights/errors.js";
import { tellLeftOvers } from "../weights/left-overs.js";
import { readConfig } from "../weights/model-folder.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { float32 } from "../weights/parameters.js";
import { openSafetensors, type SafetensorsFile } from "../weights/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../weights/write-safetensors.js";
import { loraReport } from "./inspect-lora.js";

/** The form of a LoRA, and its model. */
export interface ConvertLoraOptions {
  /**
   * "kohya": as kohya's scripts, AUTOMATIC1111 and ComfyUI name tensors, with an alpha beside each. "diffusers": as
   * diffusers writes LoRAs, with PEFT's settings in the metadata; LoRA and DoRA only.
   */
  form: "kohya" | "diffusers";
  /** A folder of diffusers, or its name on the hub, if the sizes of the model differ from the published ones. */
  config?: string;
  /** Settings of PEFT, in place of those in the file or beside it; see LoadLoraOptions. */
  adapterConfig?: LoraSettings;
  /** Refuses a file with unused tensors, instead of leaving them out with a warning. Default false. */
  strict?: boolean;
}

const OPTIONS = optionNames<ConvertLoraOptions>()({ form: true, config: true, adapterConfig: true, strict: true });

const NETWORKS = { UNet2DConditionModel, CLIPTextModel, CLIPTextModelWithProjection };

/**
 * Writes a LoRA of any supported form (see docs/models.md) in one of the two forms that most programs open. Tensors
 * keep their values and types; the factor of the change becomes an alpha.
 *
 * @throws WeightsFormatError if the family is not known and no `config` is given, or for a method that the form does
 *   not have; WeightsMismatchError if it is no LoRA of these networks
 */
export async function convertLora(from: BytesFrom, to: string, options: ConvertLoraOptions): Promise<void> {
  const given: Partial<ConvertLoraOptions> = { ...options }; // Also where JavaScript gives none.
  requireKnownOptions("convertLora", given, OPTIONS);
  const { form, adapterConfig, strict } = given;
  if (form !== "kohya" && form !== "diffusers")
    throw new RangeError(`form: ${JSON.stringify(form)}; expected "kohya" or "diffusers".`);
  const file = await openSafetensors(from);
  try {
    const models = await modelsFor(file, given.config);
    const { groups, unused, words } = checkedGroups(file, models, strict === true);
    const left = words.length === 0 ? unused : [...unused, ...words.map((word) => `the word ${word}`)];
    const beside = adapterConfig ? undefined : await settingsBeside(from, file);
    const changes: Change[] = [];
    for (const group of groups)
      changes.push({ ...group, scaling: await scalingOf(file, group, { given: adapterConfig, beside }) });
    const { lora_adapter_metadata: _, ...metadata } = file.metadata;
    const written = form === "kohya" ? asKohya(file, changes, models) : asDiffusers(file, changes);
    tellLeftOvers(file.name, left, strict);
    await writeSafetensors(to, written.tensors, { ...metadata, format: "pt", ...written.metadata });
  } finally {
    await file.close();
  }
}

/** A change of one parameter, and its factor. */
type Change = LoraGroup & { scaling?: { rank: number; factor: number } };
type Written = { tensors: Map<string, TensorToWrite>; metadata?: Record<string, string> };

/** The networks that the file may change, without weights. */
async function modelsFor(file: SafetensorsFile, config: string | undefined): Promise<LoraModels> {
  if (config !== undefined) {
    const folder = await configFolder(config);
    const models: Partial<Record<LoraPart, object>> = {};
    for (const part of LORA_PARTS) {
      const inside = joinPath(folder, part);
      if (await fileExists(joinPath(inside, "config.json")))
        models[part] = buildModel(await readConfig(inside), NETWORKS, inside);
    }
    return models;
  }
  const { family } = await loraReport(file);
  if (family === undefined) {
    throw new WeightsFormatError(
      `${file.name}: its tensors do not show which published model it is for. Give that model's folder as { config }.`,
    );
  }
  return publishedModels(family);
}

function publishedModels(family: CheckpointFamily): LoraModels {
  const { unet, textEncoders } = PUBLISHED[family];
  const encoders = Object.entries(textEncoders).map(([part, { className, config }]) => [
    part,
    buildModel({ ...config, architectures: [className] }, NETWORKS, part),
  ]);
  return { unet: new UNet2DConditionModel(unet), ...(Object.fromEntries(encoders) as LoraModels) };
}

/** The factor of a change, and its rank; undefined for a format without either. */
async function scalingOf(
  file: SafetensorsFile,
  { part, name, format, factors, alpha }: LoraGroup,
  where: { given?: LoraSettings; beside?: LoraSettings },
): Promise<Change["scaling"]> {
  if (!format.rank) return undefined;
  const settings = loraSettings(file, part, where);
  const module = moduleOf(name);
  const stored = alpha === undefined ? undefined : Number((await file.read(alpha))[0]);
  const rank =
    format.rank(shapesOf(file, factors)) ?? (stored === undefined ? statedRank(settings, module) : undefined);
  return rank === undefined ? undefined : { rank, factor: loraFactor(settings, module, rank, stored) };
}

function moduleOf(parameter: string): string {
  return parameter.replace(/\.(weight|bias)$/, "");
}

/** A stored tensor with its own numbers, and another shape if one is given. */
function copied(file: SafetensorsFile, stored: string, shape?: readonly number[]): TensorToWrite {
  const info = file.tensors.get(stored)!;
  const isWritten = info.dtype === "F32" || info.dtype === "F16" || info.dtype === "BF16";
  const data = async () => float32(await file.read(stored));
  return { dtype: isWritten ? info.dtype : "F32", shape: [...(shape ?? info.shape)], data };
}

/** The names of kohya's scripts: two text encoders are numbered. */
function kohyaPrefix(part: LoraPart, models: LoraModels): string {
  if (part === "unet") return "lora_unet_";
  if (part === "text_encoder_2") return "lora_te2_";
  return models.text_encoder_2 ? "lora_te1_" : "lora_te_";
}

const KOHYA_ROLES: Readonly<Record<string, string>> = {
  down: "lora_down.weight",
  up: "lora_up.weight",
  mid: "lora_mid.weight",
};

function asKohya(file: SafetensorsFile, changes: readonly Change[], models: LoraModels): Written {
  const tensors = new Map<string, TensorToWrite>();
  for (const { part, name, parameter, factors, magnitude, scaling } of changes) {
    const path = kohyaPrefix(part, models) + moduleOf(name).replaceAll(".", "_");
    const isBias = name.endsWith(".bias");
    for (const [role, stored] of Object.entries(factors))
      tensors.set(`${path}.${isBias ? "diff_b" : (KOHYA_ROLES[role] ?? role)}`, copied(file, stored));
    if (magnitude) {
      const ones = parameter.diskShape.map((length, axis) => (axis === magnitude.axis ? length : 1));
      tensors.set(`${path}.dora_scale`, copied(file, magnitude.stored, ones));
    }
    if (scaling) {
      const alpha = Float32Array.of(scaling.factor * scaling.rank);
      tensors.set(`${path}.alpha`, { dtype: "F32", shape: [], data: alpha });
    }
  }
  return { tensors };
}

function asDiffusers(file: SafetensorsFile, changes: readonly Change[]): Written {
  const other = changes.find(({ format, factors, magnitude }) => {
    return format.name !== "LoRA" || factors.mid !== undefined || magnitude?.axis === 1;
  });
  if (other) {
    const what =
      other.magnitude?.axis === 1 ? "DoRA by columns" : other.factors.mid ? "Tucker's LoRA" : other.format.name;
    throw new WeightsFormatError(
      `${file.name}: ${other.part} ${other.name} is changed by ${what}, which diffusers does not have. ` +
        'Write { form: "kohya" }, or fuse it into the model.',
    );
  }
  const tensors = new Map<string, TensorToWrite>();
  for (const { part, name, parameter, factors, magnitude } of changes) {
    const path = `${part}.${moduleOf(name)}`;
    tensors.set(`${path}.lora_A.weight`, copied(file, factors.down!));
    tensors.set(`${path}.lora_B.weight`, copied(file, factors.up!));
    if (!magnitude) continue;
    const [out, ...rest] = parameter.diskShape;
    const shape = rest.length === 1 ? [out!] : [1, out!, 1, 1];
    tensors.set(`${path}.lora_magnitude_vector`, copied(file, magnitude.stored, shape));
  }
  const settings = Object.assign({}, ...LORA_PARTS.map((part) => peftSettings(part, changes))) as object;
  return { tensors, metadata: { lora_adapter_metadata: JSON.stringify(settings, null, 2) } };
}

/** PEFT's LoraConfig of one network, as diffusers keeps it in the metadata of a pipeline's LoRA. */
function peftSettings(part: LoraPart, all: readonly Change[]): Record<string, unknown> {
  const changes = all.filter((change) => change.part === part);
  if (changes.length === 0) return {};
  const byModule = changes.map(({ name, scaling }) => [moduleOf(name), scaling!] as const);
  const [, { rank: r, factor }] = byModule[0]!;
  const lora_alpha = r * factor;
  const rank_pattern = Object.fromEntries(
    byModule.filter(([, scaling]) => scaling.rank !== r).map(([module, { rank }]) => [module, rank]),
  );
  const alpha_pattern = Object.fromEntries(
    byModule
      .map(([module, scaling]) => [module, scaling.rank * scaling.factor] as const)
      .filter(([, alpha]) => alpha !== lora_alpha),
  );
  const settings = {
    peft_type: "LORA",
    r,
    lora_alpha,
    rank_pattern,
    alpha_pattern,
    target_modules: byModule.map(([module]) => module).sort(),
    use_dora: changes.some(({ magnitude }) => magnitude !== undefined),
    use_rslora: false,
    lora_bias: false,
    bias: "none",
  };
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [`${part}.${key}`, value]));
}
