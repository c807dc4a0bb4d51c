import * as tf from "@tensorflow/tfjs";
import { valuesAtHand } from "../platform/values-at-once.js";
import type { ClassLabels } from "./denoiser.js";
import { ModelInputError } from "./errors.js";

/** The tensor that a forward function expects; a size of null means any. */
export interface Expectation {
  shape: readonly (number | null)[];
  /** Names of the axes, for the message. */
  axes: string;
  dtype?: "float32" | "int32" | "any";
  /** Advice for the message. */
  hint?: string;
}

/** Throws a {@link ModelInputError} unless `tensor` has the expected rank, sizes and dtype. */
export function requireTensor(
  model: string,
  name: string,
  tensor: tf.Tensor | undefined,
  { shape, axes, dtype = "float32", hint }: Expectation,
): void {
  const expected = `${axes} = [${shape.map((size) => size ?? "any").join(", ")}]${dtype === "any" ? "" : ` ${dtype}`}`;
  const advice = hint ? ` ${hint}` : "";
  if (!tensor)
    throw new ModelInputError(`${model}: ${name} is missing; expected ${expected}, because of the config.${advice}`);
  if (!(tensor instanceof tf.Tensor))
    throw new ModelInputError(`${model}: ${name} is not a tensor; expected ${expected}.${advice}`);
  const { shape: given } = tensor;
  const fits =
    given.length === shape.length &&
    shape.every((size, axis) => size === null || size === given[axis]) &&
    (dtype === "any" || tensor.dtype === dtype);
  if (fits && tensor.size > 0) return;
  const empty = tensor.size === 0 ? ", which is empty" : "";
  throw new ModelInputError(
    `${model}: ${name} is [${given.join(", ")}] ${tensor.dtype}${empty}, expected ${expected}.${advice}`,
  );
}

/**
 * Throws a {@link ModelInputError} unless every id is from 0 to `count` - 1. Ids on a graphics card are not checked.
 */
export function requireIds(model: string, name: string, ids: tf.Tensor, count: number): void {
  const wrong = valuesAtHand(ids)?.find((id) => id < 0 || id >= count);
  if (wrong === undefined) return;
  throw new ModelInputError(`${model}: ${name} holds ${wrong}; expected whole numbers from 0 to ${count - 1}.`);
}

/** Throws a {@link ModelInputError} if a tensor is given that the config does not use. */
export function refuseTensor(model: string, name: string, tensor: tf.Tensor | undefined, key: string): void {
  if (tensor) {
    throw new ModelInputError(
      `${model}: ${name} was given, but the config's ${key} is null, so that it would be ignored. Leave it out.`,
    );
  }
}

/**
 * Throws a {@link ModelInputError} unless `labels` are as `expected`, one for each of `batch`. `key` is the config key
 * that is null if there are no classes.
 */
export function checkClassLabels(
  model: string,
  expected: ClassLabels | undefined,
  labels: tf.Tensor | undefined,
  { batch, key }: { batch: number; key: string },
): void {
  if (!expected) return refuseTensor(model, "classLabels", labels, key);
  if (expected.kind === "vectors") {
    return requireTensor(model, "classLabels", labels, { shape: [batch, expected.width], axes: "[B, C]" });
  }
  const dtype = expected.kind === "ids" ? "int32" : "any";
  requireTensor(model, "classLabels", labels, { shape: [batch], axes: "[B]", dtype });
  if (expected.kind === "ids") requireIds(model, "classLabels", labels!, expected.count);
}

/** Throws a {@link ModelInputError} unless `t` is a finite number or a tensor of 1 or `batch` timesteps. */
export function checkTimestep(model: string, t: number | tf.Tensor1D, batch: number): void {
  const isTensor = t instanceof tf.Tensor;
  if (isTensor ? t.rank === 1 && (t.size === batch || t.size === 1) : Number.isFinite(t)) return;
  const given = isTensor ? `a tensor [${t.shape.join(", ")}]` : String(t);
  throw new ModelInputError(`${model}: t is ${given}; expected a finite number or a tensor [B] with B = ${batch}.`);
}

/** Timesteps as a tensor: a number becomes one of size 1, which the caller owns. */
export function timestepVector(t: number | tf.Tensor1D): tf.Tensor1D {
  return typeof t === "number" ? tf.tensor1d([t]) : t;
}
