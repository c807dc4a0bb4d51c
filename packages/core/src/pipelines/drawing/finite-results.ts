import type * as tf from "@tensorflow/tfjs";
import { valuesAtHand } from "../../nn/time-embedding.js";
import { countNonFinite } from "../options/option-checks.js";
import { NonFiniteResultError } from "./errors.js";

/** What is checked: the beginning of the message, the tensor's name in it, and the step, if it is one. */
export interface CheckedResult {
  place: string;
  what: string;
  step?: number;
}

/**
 * Checks a result where its values can be read at once. A graphics card would have to stop for that, so there nothing
 * is checked.
 *
 * @throws NonFiniteResultError
 */
export function requireFiniteAtHand(x: tf.Tensor, checked: CheckedResult): void {
  requireFiniteValues(valuesAtHand(x) ?? [], checked);
}

/**
 * Checks a result on every backend; waits for a graphics card.
 *
 * @throws NonFiniteResultError
 */
export async function requireFinite(x: tf.Tensor, checked: CheckedResult): Promise<void> {
  requireFiniteValues(await x.data(), checked);
}

function requireFiniteValues(values: ArrayLike<number>, { place, what, step }: CheckedResult): void {
  const bad = countNonFinite(values);
  if (bad === 0) return;
  throw new NonFiniteResultError(
    `${place}: ${bad} of ${values.length} values of ${what} are NaN or infinite. Frequent causes are a guidanceScale that is too ` +
      "large, weights that are damaged, and weights that overflow in float16 (the autoencoder of Stable Diffusion XL 1.0 is known " +
      "for it). Draw again with debug: true to see the first layer whose output is not finite.",
    step,
  );
}
