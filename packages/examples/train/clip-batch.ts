import { type KeyedNoise, keyedRandom, permutation, type RandomNumbers } from "@tfjs-diffusion/schedulers";
import {
  caption,
  captionWith,
  FACES,
  isHeldOut,
  redrawAttributes,
  sampleTrainFace,
  swapOneAttribute,
  type Face,
  type FaceKind,
} from "../datasets/faces/index.js";

export interface ClipBatch {
  /** [batchSize, size, size, 3] in [-1, 1]. */
  pixels: Float32Array;
  captions: string[];
}

export interface ClipBatchOptions {
  batchSize: number;
  /** The most pictures in one group. */
  groupSize: number;
  /**
   * True: every face is described in full, always with the same words and order. False: each group gets its own
   * wording.
   */
  oneWording: boolean;
  /** Default: the 16 x 16 faces. */
  kind?: FaceKind;
}

/**
 * Pictures and captions for contrastive learning, in groups that differ only in a few of the mentioned attributes.
 * Random pictures can be told apart by their colours alone; then nothing else would be learned.
 *
 * @param source the random numbers of this batch
 */
export function clipBatch(source: KeyedNoise, options: ClipBatchOptions): ClipBatch {
  const { batchSize, groupSize, oneWording, kind = FACES } = options;
  const length = kind.size * kind.size * 3;
  const pixels = new Float32Array(batchSize * length);
  const captions: string[] = [];
  while (captions.length < batchSize) {
    const random = source.at(captions.length).random();
    const size = Math.min(groupSize, batchSize - captions.length);
    for (const [text, face] of hardGroup(kind, random, size, oneWording)) {
      const offset = captions.length * length;
      kind.render(face, random).forEach((byte, i) => (pixels[offset + i] = byte / 127.5 - 1));
      captions.push(text);
    }
  }
  return { pixels, captions };
}

/**
 * Up to `size` faces by caption, no two captions the same; short captions allow fewer faces. In a quarter of the groups
 * each face differs from the first in one attribute, or has two colours exchanged (which colour belongs to what?). In
 * the others the same attributes vary from face to face: one attribute in half of the groups, two to four in a quarter.
 */
function hardGroup(kind: FaceKind, random: RandomNumbers, size: number, oneWording: boolean): Map<string, Face> {
  const first = sampleTrainFace(random, kind.sample);
  const { text, mentioned, wording } = oneWording
    ? caption(first, keyedRandom(4, "one wording"), "full")
    : caption(first, random, "mixed");
  const dice = random.uniform();
  const varied = dice < 1 / 4 ? undefined : someOf(mentioned, dice < 3 / 4 ? 1 : 2 + random.integer(3), random);
  const group = new Map([[text, first]]);
  for (let tries = 0; tries < 4 * size && group.size < size; tries++) {
    const face = varied ? redrawAttributes(first, varied, random) : swapOneAttribute(first, random, mentioned);
    if (!isHeldOut(face)) group.set(captionWith(face, wording).text, face);
  }
  return group;
}

/** `count` of the values, or all if there are fewer; all are equally likely. */
function someOf<T>(values: readonly T[], count: number, random: RandomNumbers): T[] {
  return [...permutation(values.length, random)].slice(0, count).map((i) => values[i]!);
}
