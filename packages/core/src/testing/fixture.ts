import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import type { Model } from "../models/model.js";
import type { Parameter } from "../nn/parameter.js";

/** Golden data of `packages/core/fixtures`; each folder's meta.json says what made it. */
const FIXTURES = new URL("../../fixtures/", import.meta.url);

interface StoredTensor {
  dtype: string;
  shape: number[];
  data: Float32Array | Int32Array;
}

/** Every tensor of a safetensors file of 32-bit numbers, in PyTorch's layout. */
export async function readTensors(path: string): Promise<Map<string, StoredTensor>> {
  const bytes = await readFile(fileURLToPath(new URL(path, FIXTURES)));
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  delete header["__metadata__"];
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        const content = new Uint8Array(bytes.subarray(start + from, start + to)).buffer;
        return [name, { dtype, shape, data: dtype === "I32" ? new Int32Array(content) : new Float32Array(content) }];
      },
    ),
  );
}

export async function readConfig<Config>(folder: string): Promise<Config> {
  return JSON.parse(await readFile(fileURLToPath(new URL(`${folder}/config.json`, FIXTURES)), "utf8")) as Config;
}

/** A stored tensor as it lies on disk. */
function onDisk({ dtype, shape, data }: StoredTensor): tf.Tensor {
  return tf.tensor(data, shape, dtype === "I32" ? "int32" : "float32");
}

/** A gradient or other tensor in the shape of a parameter, in PyTorch's order. */
function toDiskOrder({ layout }: Parameter, value: tf.Tensor): tf.Tensor {
  if (layout === "same") return value.clone();
  return value.transpose(layout === "linear" ? [1, 0] : [3, 2, 0, 1]);
}

/** The entries of `errors` that are not below `tolerance`, so that a failing test shows them all. */
export function above(tolerance: number, errors: Map<string, number>): [string, number][] {
  return [...errors].filter(([, error]) => !(error < tolerance));
}

/** A fixture's inputs and expected results, by name. */
export class Golden {
  constructor(readonly stored: Map<string, StoredTensor>) {}

  static async read(folder: string): Promise<Golden> {
    return new Golden(await readTensors(`${folder}/io.safetensors`));
  }

  has(name: string): boolean {
    return this.stored.has(name);
  }

  names(prefix: string): string[] {
    return [...this.stored.keys()].filter((name) => name.startsWith(prefix));
  }

  /** An input or activation as ours: pictures are stored as NCHW and become NHWC. */
  tensor<T extends tf.Tensor = tf.Tensor>(name: string): T {
    return tf.tidy(() => {
      const tensor = onDisk(this.#stored(name));
      return (tensor.rank === 4 ? tensor.transpose([0, 2, 3, 1]) : tensor) as T;
    });
  }

  /** How far an activation is off, as rms(got - expected) / rms(expected): the measure of the fixtures' noise floors. */
  error(name: string, got: tf.Tensor): number {
    return tf.tidy(() => relativeRms(got, this.tensor(name)));
  }

  /** The same for a tensor that belongs to a parameter, given in our order and stored in PyTorch's. */
  parameterError(name: string, parameter: Parameter, got: tf.Tensor): number {
    return tf.tidy(() => relativeRms(toDiskOrder(parameter, got), onDisk(this.#stored(name))));
  }

  #stored(name: string): StoredTensor {
    const stored = this.stored.get(name);
    if (!stored) throw new Error(`The fixture has no ${name}; it has ${[...this.stored.keys()].join(", ")}.`);
    return stored;
  }
}

/** rms(got - expected) / rms(expected). */
export function relativeRms(got: tf.Tensor, expected: tf.Tensor): number {
  tf.util.assertShapesMatch(got.shape, expected.shape, "relativeRms: ");
  const values = got.dataSync();
  let difference = 0;
  let size = 0;
  expected.dataSync().forEach((value, i) => {
    difference += (values[i]! - value) ** 2;
    size += value ** 2;
  });
  return Math.sqrt(difference / size);
}

/** Fills a model with the weights of a fixture, whose names and shapes must be exactly the model's. */
export async function fill(model: Model, path: string): Promise<void> {
  const stored = await readTensors(path);
  const parameters = model.namedParameters();
  expect([...stored.keys()].sort()).toEqual([...parameters.keys()].sort());
  for (const [name, parameter] of parameters) {
    const { shape, data } = stored.get(name)!;
    expect([name, ...shape]).toEqual([name, ...parameter.diskShape]);
    tf.tidy(() => parameter.assignFromDisk(tf.tensor(data, shape)));
  }
}
