import type * as tf from "@tensorflow/tfjs";
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
