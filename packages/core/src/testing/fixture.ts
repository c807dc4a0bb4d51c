import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { loadModel } from "../models/load-model.js";
import type { Model } from "../models/model.js";
import type { Parameter } from "../nn/parameter.js";
import { openSafetensors } from "../weights/safetensors.js";

/** Golden data of `packages/core/fixtures`; each folder's meta.json says what made it. */
const FIXTURES = new URL("../../fixtures/", import.meta.url);

/** Where a folder of fixtures lies. */
export function fixturePath(folder: string): string {
  return fileURLToPath(new URL(folder, FIXTURES));
}

/** The network of a fixture's `config.json`, with the fixture's weights. */
export async function loadFixture<M extends Model>(folder: string): Promise<M> {
  return (await loadModel(fixturePath(folder))) as M;
}

/** The networks of the tiny Stable Diffusion that LoRAs are added to; the caller owns them. */
export async function tinyLoraModels(): Promise<{ unet: Model; text_encoder: Model }> {
  return {
    unet: await loadFixture("tiny-stable-diffusion/unet"),
    text_encoder: await loadFixture("tiny-stable-diffusion/text_encoder"),
  };
}

interface StoredTensor {
  dtype: string;
  shape: readonly number[];
  data: Float32Array | Int32Array;
}

/** A stored tensor as it lies on disk. */
function onDisk({ dtype, shape, data }: StoredTensor): tf.Tensor {
  return tf.tensor(data, [...shape], dtype === "I32" ? "int32" : "float32");
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

  static async read(folder: string, name = "io.safetensors"): Promise<Golden> {
    const file = await openSafetensors(fixturePath(`${folder}/${name}`));
    const stored = new Map<string, StoredTensor>();
    for (const [key, { dtype, shape }] of file.tensors) {
      stored.set(key, { dtype, shape, data: (await file.read(key)) as Float32Array | Int32Array });
    }
    await file.close();
    return new Golden(stored);
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

  /**
   * How far an activation is off, as rms(got - expected) / rms(expected): the measure of the fixtures' noise floors.
   */
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
