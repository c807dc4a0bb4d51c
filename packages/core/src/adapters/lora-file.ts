import * as tf from "@tensorflow/tfjs";
import { namedParameters, type Parameter } from "../nn/parameter.js";
import { isFloat } from "../weights/dtypes.js";
import { WeightsMismatchError } from "../weights/errors.js";
import { float32 } from "../weights/parameters.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import { LoraModules, type LoraPart, loraTensor, type LoraTensor, otherMethod } from "./lora-names.js";
import { loraFactor, loraSettings, type LoraSettings } from "./lora-settings.js";

/** The networks that LoRAs are added to: what has parameters, as a Model has. */
export type LoraModels = Partial<Record<LoraPart, object>>;

/** A low-rank change of one weight. */
export interface LoraChange {
  /** [rank, in] or [rank, in, height, width], as on disk. */
  down: tf.Tensor;
  /** [out, rank] or [out, rank, 1, 1] */
  up: tf.Tensor;
  /** alpha / rank, or 1 where the file says nothing. */
  factor: number;
}

/** The changes of a LoRA, by what they change. */
export type LoraChanges = ReadonlyMap<Parameter, LoraChange>;

/**
 * scale * alpha / rank * up down, in the shape of the weight on disk: a convolution's kernel is a matrix [out, in
 * height width].
 */
export function deltaOf({ down, up, factor }: LoraChange, scale: number, shape: number[]): tf.Tensor {
  const rank = down.shape[0];
  const product = tf.matMul(up.reshape([-1, rank]), down.reshape([rank, -1]));
  return product.mul(scale * factor).reshape(shape);
}

/** Frees them. */
export function disposeChanges(changes: LoraChanges): void {
  for (const { down, up } of changes.values()) tf.dispose([down, up]);
}

/** The names of a change's tensors. */
type Group = Partial<Record<LoraTensor["role"], string>> & { target: LoraTensor; parameter: Parameter };

/**
 * Reads a LoRA's changes of these networks; the caller owns them. All of the file is checked before a tensor is made.
 *
 * @param settings see {@link loraSettings}
 * @throws WeightsMismatchError listing every tensor that belongs to no module, has no counterpart or another shape;
 *   WeightsFormatError for settings that are not known
 */
export async function readChanges(
  file: SafetensorsFile,
  models: LoraModels,
  settings: { given?: LoraSettings; beside?: LoraSettings } = {},
): Promise<LoraChanges> {
  const groups = groupTensors(file, models);
  const parts = new Set(groups.map(({ target }) => target.part));
  const settingsOf = new Map([...parts].map((part) => [part, loraSettings(file, part, settings)]));
  const changes = new Map<Parameter, LoraChange>();
  try {
    for (const { target, parameter, down, up, alpha } of groups) {
      const rank = file.tensors.get(down!)!.shape[0]!;
      const module = target.parameter.slice(0, -".weight".length);
      const stored = alpha === undefined ? undefined : Number((await file.read(alpha))[0]);
      const factor = loraFactor(settingsOf.get(target.part)!, module, rank, stored);
      changes.set(parameter, { factor, down: await readTensor(file, down!), up: await readTensor(file, up!) });
    }
    return changes;
  } catch (error) {
    disposeChanges(changes);
    throw error;
  }
}

function groupTensors(file: SafetensorsFile, models: LoraModels): Group[] {
  const present = (Object.entries(models) as [LoraPart, object | undefined][]).filter(
    (entry): entry is [LoraPart, object] => entry[1] !== undefined,
  );
  const modules = new Map(present.map(([part, model]) => [part, new LoraModules(model)]));
  const parameters = new Map(present.map(([part, model]) => [part, new Map(namedParameters(model))]));
  const groups = new Map<Parameter, Group>();
  const problems: string[] = [];
  const methods = new Set<string>();
  for (const stored of file.tensors.keys()) {
    const target = loraTensor(stored, modules);
    if (!target) {
      const method = otherMethod(stored);
      problems.push(
        method === undefined
          ? `${stored} changes no module of ${[...modules.keys()].join(", ") || "any network"}`
          : `${stored} is of another method: ${method}`,
      );
      if (method !== undefined) methods.add(method);
      continue;
    }
    const parameter = parameters.get(target.part)!.get(target.parameter)!;
    const group = groups.get(parameter) ?? { target, parameter };
    const other = group[target.role];
    if (other) problems.push(`${stored} and ${other} are both for ${target.part} ${target.parameter}`);
    group[target.role] = stored;
    groups.set(parameter, group);
  }
  for (const group of groups.values()) problems.push(...problemsOf(file, group));
  if (problems.length > 0 || groups.size === 0) {
    const remedy =
      methods.size === 0
        ? ""
        : ` Of ${[...methods].join(", ")}, nothing is read here: fuse it into its model with the program that made it.`;
    throw new WeightsMismatchError(
      `${file.name}: not a LoRA of these networks (${problems.length} problems).${remedy}` +
        problems.map((problem) => `\n  ${problem}`).join(""),
    );
  }
  return [...groups.values()];
}

function problemsOf(file: SafetensorsFile, { target, parameter, down, up, alpha }: Group): string[] {
  if (!down || !up) return [`${target.part} ${target.parameter}: its ${down ? "up" : "down"} half is missing`];
  const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  const [downShape, upShape] = [file.tensors.get(down)!.shape, file.tensors.get(up)!.shape];
  const [out = 0, ...rest] = parameter.diskShape;
  const rank = downShape[0] ?? 0;
  const fits = rank > 0 && size(upShape) === out * rank && size(downShape) === rank * size(rest) && upShape[0] === out;
  const problems = fits
    ? []
    : [
        `${down} [${downShape.join(", ")}] and ${up} [${upShape.join(", ")}] do not make the weight's [${parameter.diskShape.join(", ")}]`,
      ];
  for (const name of [down, up]) {
    const { dtype } = file.tensors.get(name)!;
    if (!isFloat(dtype)) problems.push(`${name} is of the whole-number type ${dtype}`);
  }
  if (alpha && size(file.tensors.get(alpha)!.shape) !== 1) problems.push(`${alpha} is not one number`);
  return problems;
}

async function readTensor(file: SafetensorsFile, name: string): Promise<tf.Tensor> {
  return tf.tensor(float32(await file.read(name)), [...file.tensors.get(name)!.shape], "float32");
}
