import * as tf from "@tensorflow/tfjs";
import type { Parameter } from "../nn/parameter.js";
import { float32 } from "../weights/parameters.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import { doraChange, type MagnitudeAxis } from "./formats/dora.js";
import type { ByRole, LoraFormat } from "./formats/format.js";
import { checkedGroups, type LoraGroup, type LoraModels, shapesOf } from "./lora-groups.js";
import type { LoraPart } from "./lora-names.js";
import { loraFactor, loraSettings, type LoraSettings, requireSettingsFit, statedRank } from "./lora-settings.js";

/** A change of one parameter. */
export interface LoraChange {
  part: LoraPart;
  /** The parameter's name in its network. */
  name: string;
  format: LoraFormat;
  /** The tensors by their roles in the format, in PyTorch's order. */
  tensors: ByRole<tf.Tensor>;
  /** alpha / rank, or 1 without alpha. */
  factor: number;
  /** DoRA's magnitudes: one number for each index of an axis of the weight. */
  magnitude?: { values: tf.Tensor; axis: MagnitudeAxis };
}

/** The changes of a LoRA, by the parameters that they change. */
export type LoraChanges = ReadonlyMap<Parameter, LoraChange>;

/** The content of a LoRA's file. */
export interface LoraContents {
  changes: LoraChanges;
  /**
   * Names of tensors without effect: of an unknown format, of no module of these networks, or an alpha without tensors.
   */
  unused: string[];
  /** Words that were learned together with the LoRA (textual inversions), which change no weight. */
  words: string[];
}

/** The tensor that is added to the weight `base` at this scale, in PyTorch's order; the caller owns it. */
export function changeOf({ format, tensors, factor, magnitude }: LoraChange, base: tf.Tensor, scale: number) {
  return tf.tidy(() => {
    const delta = format.delta(tensors, base.shape).mul(scale * factor);
    return magnitude ? doraChange(base, delta, magnitude.values, magnitude.axis) : delta;
  });
}

/** Frees the tensors of the changes. */
export function disposeChanges(changes: LoraChanges): void {
  for (const { tensors, magnitude } of changes.values()) tf.dispose([Object.values(tensors), magnitude?.values ?? []]);
}

/** Options of {@link readChanges}. */
export interface ReadChangesOptions {
  /** See {@link loraSettings}. */
  settings?: { given?: LoraSettings; beside?: LoraSettings };
  /** Refuse a file with unused tensors. */
  strict?: boolean;
}

/**
 * Reads a LoRA's changes of these networks; the caller owns them. The whole file is checked before a tensor is made.
 *
 * @throws WeightsMismatchError listing tensors without a counterpart, with a wrong shape or of an unsupported method,
 *   and if no change remains; WeightsFormatError for unsupported settings
 */
export async function readChanges(
  file: SafetensorsFile,
  models: LoraModels,
  { settings = {}, strict = false }: ReadChangesOptions = {},
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
    return { changes, unused, words };
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
