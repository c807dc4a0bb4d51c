import type * as tf from "@tensorflow/tfjs";
import type { Model } from "@tfjs-diffusion/core/models";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { caption, type Face } from "../datasets/faces/index.js";

/**
 * The captions of training samples, with a new wording each time a picture is shown. A share of them is "", so that the
 * network also learns to draw unconditionally.
 */
export function trainingCaptions(
  samples: readonly number[],
  faceOf: (sample: number) => Face,
  seed: number,
  dropout: number,
): string[] {
  return samples.map((sample) => {
    const random = keyedRandom(seed, "caption", sample);
    return random.uniform() < dropout ? "" : caption(faceOf(sample), random, "mixed").text;
  });
}

/** Gives `to` the values of the parameters that have the same names in `from`. */
export function copyParameters(from: Model, to: Model): void {
  const values = from.parameters();
  for (const [name, parameter] of to.namedParameters()) parameter.assign(values.get(name)!);
}

/** A model's variables, their names prefixed with the name of its part. */
export const prefixed = (part: string, model: Model): [string, tf.Variable][] =>
  [...model.parameters()].map(([name, variable]) => [`${part}.${name}`, variable]);
