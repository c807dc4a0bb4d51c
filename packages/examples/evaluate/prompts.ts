import { keyedRandom } from "@tfjs-diffusion/schedulers";
import {
  faceExample,
  FACES,
  sampleTrainFace,
  type Attribute,
  type Face,
  type FaceKind,
} from "../datasets/faces/index.js";

/**
 * Prompts for choosing a setting are never used to report its results: the two purposes have different seeds, and
 * training uses neither.
 */
export type Purpose = "choosing" | "reporting";

export interface PromptSet {
  readonly purpose: Purpose;
  readonly split: "seen" | "held-out";
  readonly style: "full" | "short";
}

export interface Prompt {
  readonly text: string;
  /** The face that the text describes; only the `mentioned` attributes are scored. */
  readonly face: Face;
  readonly mentioned: readonly Attribute[];
  /** A real picture of that face: size * size * 3 bytes. */
  readonly real: Uint8Array;
}

const SEEDS: Record<Purpose, number> = { choosing: 201, reporting: 202 };

/** The first `count` prompts of a set; the same on every machine. */
export function promptsOf({ purpose, split, style }: PromptSet, count: number, kind: FaceKind = FACES): Prompt[] {
  return Array.from({ length: count }, (_, index) => {
    const { face, caption, pixels } = faceExample(index, { seed: SEEDS[purpose], split, style, kind });
    return { text: caption.text, face, mentioned: caption.mentioned, real: pixels };
  });
}

/** Short captions that do not mention an attribute, worded as in training. */
export function captionsWithout(attribute: Attribute, count: number, kind: FaceKind): string[] {
  const texts: string[] = [];
  for (let i = 0; texts.length < count; i++) {
    const random = keyedRandom(401, i);
    const face = sampleTrainFace(random, kind.sample);
    const { text, mentioned } = kind.wording(face, random, "short")(face);
    if (!mentioned.includes(attribute)) texts.push(text);
  }
  return texts;
}
