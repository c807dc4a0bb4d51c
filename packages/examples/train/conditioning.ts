import type * as tf from "@tensorflow/tfjs";
import type { Model } from "@tfjs-diffusion/core/models";
import { keyedRandom, type RandomNumbers } from "@tfjs-diffusion/schedulers";
import type { Face, FaceKind } from "../datasets/faces/index.js";

/**
 * The captions of training samples, with a new wording each time a picture is shown. A share of them is "", so that the
 * network also learns to draw unconditionally.
 */
export function trainingCaptions(
  kind: FaceKind,
  samples: readonly number[],
  faceOf: (sample: number) => Face,
  seed: number,
  dropout: number,
): string[] {
  const describe = (face: Face, random: RandomNumbers) => kind.wording(face, random, "mixed")(face).text;
  return samples.map((sample) => {
    const random = keyedRandom(seed, "caption", sample);
    return random.uniform() < dropout ? "" : describe(faceOf(sample), random);
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
