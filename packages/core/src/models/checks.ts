import * as tf from "@tensorflow/tfjs";
import { ModelInputError } from "./errors.js";

/** What a forward function expects of one of its tensors; null: any size. */
export interface Expectation {
  shape: readonly (number | null)[];
  /** What the axes are, to name them in the message. */
  axes: string;
  dtype?: "float32" | "int32" | "any";
  /** What to do about a wrong tensor. */
  hint?: string;
}

/** Throws a {@link ModelInputError} unless `tensor` has the rank, sizes and dtype that are expected. */
export function requireTensor(
  model: string,
  name: string,
  tensor: tf.Tensor | undefined,
  { shape, axes, dtype = "float32", hint }: Expectation,
): void {
  const expected = `${axes} = [${shape.map((size) => size ?? "any").join(", ")}]${dtype === "any" ? "" : ` ${dtype}`}`;
  const advice = hint ? ` ${hint}` : "";
  if (!tensor)
    throw new ModelInputError(`${model}: ${name} is missing; this config needs it, as ${expected}.${advice}`);
  const fits =
    tensor.rank === shape.length &&
    shape.every((size, axis) => size === null || size === tensor.shape[axis]) &&
    (dtype === "any" || tensor.dtype === dtype);
  if (!fits) {
    throw new ModelInputError(
      `${model}: ${name} is [${tensor.shape.join(", ")}] ${tensor.dtype}, expected ${expected}.${advice}`,
    );
  }
}

/** Throws a {@link ModelInputError} if a tensor is given that the config has no use for. */
export function refuseTensor(model: string, name: string, tensor: tf.Tensor | undefined, key: string): void {
  if (tensor) {
    throw new ModelInputError(
      `${model}: ${name} was given, but the config's ${key} is null, so it would be ignored. Leave it out.`,
    );
  }
}

/** Throws a {@link ModelInputError} unless `t` is a finite number or a tensor of 1 or `batch` timesteps. */
export function checkTimestep(model: string, t: number | tf.Tensor1D, batch: number): void {
  if (typeof t === "number" ? Number.isFinite(t) : t.rank === 1 && (t.size === batch || t.size === 1)) return;
  const given = typeof t === "number" ? String(t) : `a tensor [${t.shape.join(", ")}]`;
  throw new ModelInputError(`${model}: t is ${given}; expected a finite number or a tensor [B] with B = ${batch}.`);
}

/** Timesteps as a tensor: a number becomes one of size 1, which the caller owns. */
export function timestepVector(t: number | tf.Tensor1D): tf.Tensor1D {
  return typeof t === "number" ? tf.tensor1d([t]) : t;
}
