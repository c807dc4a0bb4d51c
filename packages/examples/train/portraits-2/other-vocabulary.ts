import * as tf from "@tensorflow/tfjs";
import type { Model } from "@tfjs-diffusion/core/models";
import { portrait2Vocabulary } from "./settings.js";

/**
 * Gives a network that reads the second captions the values of one that reads others, whose vocabulary is `oldIds`.
 * Words that only the second captions have keep the values that the network has.
 */
export function takeValues(to: Model, from: Model, oldIds: Readonly<Record<string, number>>): void {
  const values = from.parameters();
  for (const [name, parameter] of to.parameters()) {
    if (!name.endsWith("token_embedding.weight")) parameter.assign(values.get(name)!);
    else assignRows(parameter, values.get(name)!, oldIds);
  }
}

/** Copies the rows of the tokens that both vocabularies have. */
function assignRows(to: tf.Variable, from: tf.Variable, oldIds: Readonly<Record<string, number>>): void {
  const width = to.shape[1]!;
  const [rows, old] = [to.dataSync().slice() as Float32Array, from.dataSync() as Float32Array];
  for (const [token, id] of Object.entries(portrait2Vocabulary().vocab)) {
    const oldId = oldIds[token];
    if (oldId !== undefined) rows.set(old.subarray(oldId * width, (oldId + 1) * width), id * width);
  }
  tf.tidy(() => to.assign(tf.tensor(rows, to.shape)));
}
