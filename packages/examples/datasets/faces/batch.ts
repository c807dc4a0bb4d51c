import { keyedRandom, type RandomNumbers } from "@tfjs-diffusion/schedulers";
import type { Face } from "./attributes.js";
import type { CaptionStyle } from "./caption.js";
import { type Description, type FaceKind, FACES } from "./kind.js";
import { type FaceSampler, sampleHeldOutFace, sampleTrainFace } from "./sample.js";

/**
 * "train" and "seen" have no held-out combination (and different pictures), "held-out" always has one, "any" may have
 * one.
 */
export type Split = "train" | "seen" | "held-out" | "any";

const SAMPLERS: Record<Split, (random: RandomNumbers, sample: FaceSampler) => Face> = {
  train: sampleTrainFace,
  seen: sampleTrainFace,
  "held-out": sampleHeldOutFace,
  any: (random, sample) => sample(random),
};

export interface FaceBatch {
  /** [indices.length, size, size, 3], row by row, in [-1, 1]. */
  readonly pixels: Float32Array;
  readonly faces: Face[];
  readonly captions: Description[];
}

export interface ExampleOptions {
  seed: number;
  split: Split;
  /** Default "mixed". */
  style?: CaptionStyle;
  /** Default: the 16 x 16 faces. */
  kind?: FaceKind;
}

/** One picture and its caption: a pure function of (seed, split, index), so a data set needs no file. */
export function faceExample(
  index: number,
  { seed, split, style = "mixed", kind = FACES }: ExampleOptions,
): { face: Face; pixels: Uint8Array; caption: Description } {
  if (!Number.isSafeInteger(index) || index < 0) {
    throw new RangeError(`faceExample: index is ${index}; it must be a whole number, 0 or more.`);
  }
  if (!(split in SAMPLERS)) {
    throw new RangeError(
      `faceExample: there is no split "${split}"; the splits are ${Object.keys(SAMPLERS).join(", ")}.`,
    );
  }
  const face = SAMPLERS[split](keyedRandom(seed, split, index, "face"), kind.sample);
  return {
    face,
    pixels: kind.render(face, keyedRandom(seed, split, index, "picture")),
    caption: kind.wording(face, keyedRandom(seed, split, index, "caption"), style)(face),
  };
}

/** The examples at the given indices, ready for `tf.tensor4d(pixels, [n, size, size, 3])`. */
export function faceBatch(indices: Iterable<number>, options: ExampleOptions): FaceBatch {
  const examples = Array.from(indices, (index) => faceExample(index, options));
  const { size } = options.kind ?? FACES;
  const length = size * size * 3;
  const pixels = new Float32Array(examples.length * length);
  examples.forEach((example, i) => pixels.set(Float32Array.from(example.pixels, toSigned), i * length));
  return { pixels, faces: examples.map(({ face }) => face), captions: examples.map(({ caption }) => caption) };
}

const toSigned = (byte: number) => byte / 127.5 - 1;
