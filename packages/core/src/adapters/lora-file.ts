import * as tf from "@tensorflow/tfjs";
import type { Parameter } from "../nn/parameter.js";
import { float32 } from "../weights/parameters.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { openSafetensors, type SafetensorsFile } from "../weights/safetensors.js";
import { addOnFile, type AddOnFileOptions } from "./add-on-file.js";
import type { LoraChange, LoraChanges } from "./lora-change.js";
import { checkedGroups, type LoraGroup, shapesOf } from "./lora-groups.js";
import type { LoraModels } from "./lora-models.js";
import {
  loraFactor,
  loraSettings,
  type LoraSettings,
  requireSettingsFit,
  settingsBeside,
  statedRank,
} from "./lora-settings.js";

/** The content of a LoRA's file. */
export interface LoraContents {
  /** The name of the file, for messages. */
  name: string;
  changes: LoraChanges;
  /**
   * Names of tensors without effect: of an unknown format, of no module of these networks, or an alpha without tensors.
   */
  unused: string[];
  /** Words that were learned together with the LoRA (textual inversions), which change no weight. */
  words: string[];
}

/** Options of {@link readLora}. */
export interface ReadLoraOptions extends AddOnFileOptions {
  /** Used in place of the settings in the file or next to it; see {@link loraSettings}. */
  adapterConfig?: LoraSettings;
  /** Refuse a file with unused tensors. */
  strict?: boolean;
}

/**
 * Reads a LoRA's changes of these networks; the caller owns them. The whole file is checked before a tensor is made.
 *
 * @throws WeightsMismatchError listing tensors without a counterpart, with a wrong shape or of an unsupported method,
 *   and if no change remains; WeightsFormatError for unsupported settings
 */
export async function readLora(
  from: BytesFrom,
  models: LoraModels,
  { adapterConfig, strict = false, ...where }: ReadLoraOptions,
): Promise<LoraContents> {
  const source = await addOnFile(from, where);
  const file = await openSafetensors(source);
  try {
    const beside = adapterConfig ? undefined : await settingsBeside(source, file);
    return await readChanges(file, models, { given: adapterConfig, beside, strict });
  } finally {
    await file.close();
  }
}

async function readChanges(
  file: SafetensorsFile,
  models: LoraModels,
  { strict, ...settings }: { given?: LoraSettings; beside?: LoraSettings; strict: boolean },
): Promise<LoraContents> {
  const { groups, unused, words } = checkedGroups(file, models, strict);
  const parts = new Set(groups.map(({ part }) => part));
  const settingsOf = new Map([...parts].map((part) => [part, loraSettings(file, part, settings)]));
  for (const group of groups) requireSettingsFit(file.name, settingsOf.get(group.part)!, group);
  const changes = new Map<Parameter, LoraChange>();
  const owned: tf.Tensor[] = [];
  const readTensor = async (stored: string) => {
    const tensor = tf.tensor(float32(await file.read(stored)), [...file.tensors.get(stored)!.shape], "float32");
    owned.push(tensor);
    return tensor;
  };
  try {
    for (const group of groups) {
      const { part, name, parameter, format, magnitude } = group;
      const factor = await factorOf(file, group, settingsOf.get(part)!);
      const tensors: Record<string, tf.Tensor> = {};
      for (const [role, stored] of Object.entries(group.factors)) tensors[role] = await readTensor(stored);
      const change: LoraChange = { part, name, format, tensors, factor };
      if (magnitude) change.magnitude = { values: await readTensor(magnitude.stored), axis: magnitude.axis };
      changes.set(parameter, change);
    }
    return { name: file.name, changes, unused, words };
  } catch (error) {
    tf.dispose(owned);
    throw error;
  }
}

/** The factor of a group's change, apart from the scale. */
async function factorOf(file: SafetensorsFile, { name, format, factors, alpha }: LoraGroup, settings: LoraSettings) {
  if (!format.rank) return 1;
  const module = name.slice(0, -".weight".length);
  const stored = alpha === undefined ? undefined : Number((await file.read(alpha))[0]);
  // LyCORIS stores alpha with the tensors and ignores it if they have no rank. PEFT's settings have both.
  const rank =
    format.rank(shapesOf(file, factors)) ?? (stored === undefined ? statedRank(settings, module) : undefined);
  return rank === undefined ? 1 : loraFactor(settings, module, rank, stored);
}
