import type * as tf from "@tensorflow/tfjs";
import { valuesAtHand } from "../../platform/values-at-once.js";
import { countNonFinite } from "../options/option-checks.js";
import { NonFiniteResultError } from "./errors.js";

/** What is checked: the beginning of the message, the tensor's name in it, and the step, if it is one. */
export interface CheckedResult {
  place: string;
  what: string;
  step?: number;
}

/**
 * Checks a result on every backend; waits for a graphics card.
 *
 * @throws NonFiniteResultError
 */
export async function requireFinite(x: tf.Tensor, checked: CheckedResult): Promise<void> {
  requireFiniteValues(await x.data(), checked);
}

/**
 * Checks the results of each step. Where their values can be read at once, they are checked at once. A graphics card
 * answers later: its values are checked while it computes the next step. So it is never idle, and never more than one
 * step behind what a progress bar says.
 */
export class StepChecks {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Resolves when the step before is checked.
   *
   * @param place the step, as the error message begins
   * @param results of this step, by their names in the error message
   * @throws NonFiniteResultError for this step, or on a graphics card for the one before
   */
  async add(place: string, step: number, results: Readonly<Record<string, tf.Tensor>>): Promise<void> {
    const late: Promise<void>[] = [];
    for (const [what, x] of Object.entries(results)) {
      const values = valuesAtHand(x);
      if (values) requireFiniteValues(values, { place, what, step });
      else late.push(requireFinite(x, { place, what, step }));
    }
    const before = this.#last;
    this.#last = Promise.all(late);
    this.#last.catch(() => undefined); // Whoever waits gets the error; nobody may wait if drawing has ended.
    await before;
  }

  /** Resolves when all steps are checked. */
  async end(): Promise<void> {
    await this.#last;
  }
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
