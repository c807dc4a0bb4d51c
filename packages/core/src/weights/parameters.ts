import * as tf from "@tensorflow/tfjs";
import { nearestNote } from "../platform/nearest-names.js";
import type { Parameter } from "../nn/parameter.js";
import { type Dtype, isFloat, type NumberArray, otherThanFloat } from "./dtypes.js";
import { WeightsMismatchError } from "./errors.js";
import { OLD_NAMES } from "./old-names.js";
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from "./small-floats.js";
import type { SafetensorsFile } from "./safetensors.js";
import type { TensorToWrite } from "./write-safetensors.js";

/** The files that hold a network's tensors: one, or several shards. */
type Files = readonly SafetensorsFile[];

/**
 * Fills a network's parameters from files. Every name and shape is compared first; nothing is allocated or filled
 * unless all fit. Names of older versions of the libraries are recognised. `dtype` is the precision that the weights
 * are rounded to; they are kept as float32.
 *
 * @throws WeightsMismatchError listing every missing, unexpected and wrongly shaped tensor; RangeError for an unknown
 *   `dtype`
 */
export async function readParameters(
  files: SafetensorsFile | Files,
  parameters: ReadonlyMap<string, Parameter>,
  { dtype = "F32" }: { dtype?: WeightPrecision } = {},
): Promise<void> {
  requirePrecision(dtype);
  const sources = matchNames([files].flat(), parameters);
  for (const [name, { file, stored }] of sources) {
    const parameter = parameters.get(name)!;
    const value = tf.tensor(rounded(float32(await file.read(stored)), dtype), parameter.diskShape, "float32");
    parameter.assignFromDisk(value);
    value.dispose();
  }
}

/** A precision of weights. */
export type WeightPrecision = Extract<Dtype, "F32" | "F16" | "BF16">;

const PRECISIONS: readonly string[] = ["F32", "F16", "BF16"] satisfies WeightPrecision[];

export function isPrecision(dtype: string): dtype is WeightPrecision {
  return PRECISIONS.includes(dtype);
}

/** @throws RangeError unless `dtype` is a precision of weights; names of other libraries, such as "float16", are not */
export function requirePrecision(dtype: string): void {
  if (isPrecision(dtype)) return;
  throw new RangeError(`dtype: ${JSON.stringify(dtype)}; expected one of ${PRECISIONS.join(", ")}.`);
}

function rounded(numbers: Float32Array, dtype: WeightPrecision): Float32Array {
  if (dtype === "F32") return numbers;
  return dtype === "F16" ? float16ToFloat32(float32ToFloat16(numbers)) : bfloat16ToFloat32(float32ToBfloat16(numbers));
}

/** Converts any numbers to float32. */
export function float32(numbers: NumberArray): Float32Array {
  return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers as Float64Array);
}

/** The location of a network's tensor. */
export interface StoredTensor {
  file: SafetensorsFile;
  /** Its name in the file. */
  stored: string;
}

/**
 * Finds the tensor of each parameter.
 * @throws WeightsMismatchError unless all names and shapes fit
 */
export function matchNames(files: Files, parameters: ReadonlyMap<string, Parameter>): Map<string, StoredTensor> {
  const found = new Map<string, StoredTensor>();
  const problems: string[] = [];
  const unexpected: string[] = [];
  for (const file of files) {
    for (const [stored, { dtype, shape }] of file.tensors) {
      const name = presentName(stored, parameters);
      if (name === null) continue;
      const parameter = name === undefined ? undefined : parameters.get(name);
      if (name === undefined || parameter === undefined) unexpected.push(stored);
      else if (found.has(name)) problems.push(`${stored} and ${found.get(name)!.stored} are both ${name}`);
      else {
        found.set(name, { file, stored });
        if (!isFloat(dtype))
          problems.push(`${stored} is of ${otherThanFloat(dtype)}; expected F32, F16, BF16, F64 or F8`);
        if (!sameShape(shape, parameter.diskShape)) {
          problems.push(`${stored} is [${shape.join(", ")}]; expected [${parameter.diskShape.join(", ")}]`);
        }
      }
    }
  }
  const missing = [...parameters.keys()].filter((name) => !found.has(name));
  problems.push(...missing.map((name) => `${name} is missing${nearest(name, unexpected)}`));
  problems.push(...unexpected.map((name) => `${name} is not part of the network${nearest(name, missing)}`));
  if (problems.length > 0) {
    const names = files.map(({ name }) => name).join(", ");
    throw new WeightsMismatchError(
      `${names}: these are not the weights of this network (${problems.length} differences). Compare its config.json.\n  ${problems.join("\n  ")}`,
    );
  }
  return found;
}

/** The parameter of a stored name; null for a tensor that is not needed, undefined for an unknown name. */
function presentName(stored: string, parameters: ReadonlyMap<string, Parameter>): string | null | undefined {
  if (parameters.has(stored)) return stored;
  for (const [old, present] of OLD_NAMES) {
    if (!old.test(stored)) continue;
    if (present === null) return null;
    const name = stored.replace(old, present);
    if (parameters.has(name)) return name;
  }
  return undefined;
}

/** Whether shapes are equal up to axes of size 1 at the end: old files store linear layers as 1x1 convolutions. */
function sameShape(stored: readonly number[], wanted: readonly number[]): boolean {
  const longer = stored.length > wanted.length ? stored : wanted;
  return longer.every((size, axis) => size === (stored[axis] ?? 1) && size === (wanted[axis] ?? 1));
}

const MOST_SUGGESTIONS = 500;

/** The name of `others` that is most similar to `name`, for a message. */
function nearest(name: string, others: readonly string[]): string {
  return others.length > MOST_SUGGESTIONS ? "" : nearestNote(name, others);
}

/**
 * A network's parameters in the order and layout of the disk, for writeSafetensors, which reads one at a time; "F16"
 * and "BF16" round to that precision.
 *
 * @throws MissingWeightsError if there are no weights yet; RangeError for an unknown `dtype`
 */
export async function parametersToTensors(
  parameters: ReadonlyMap<string, Parameter>,
  dtype: WeightPrecision = "F32",
): Promise<Map<string, TensorToWrite>> {
  requirePrecision(dtype);
  for (const parameter of parameters.values()) void parameter.value;
  return new Map(
    [...parameters].map(([name, parameter]) => [
      name,
      { dtype, shape: parameter.diskShape, data: () => diskNumbers(parameter) },
    ]),
  );
}

async function diskNumbers(parameter: Parameter): Promise<Float32Array> {
  const value = parameter.toDisk();
  try {
    return (await value.data()) as Float32Array;
  } finally {
    value.dispose();
  }
}
