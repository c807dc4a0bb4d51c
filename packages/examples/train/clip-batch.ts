import { type KeyedNoise, keyedRandom, permutation, type RandomNumbers } from "@tfjs-diffusion/schedulers";
import {
  attributesAsked,
  FACES,
  isHeldOut,
  redrawAttributes,
  sampleTrainFace,
  swapOneAttribute,
  type Attribute,
  type Face,
  type FaceKind,
} from "../datasets/faces/index.js";

export interface ClipBatch {
  /** [batchSize, size, size, 3] in [-1, 1]. */
  pixels: Float32Array;
  captions: string[];
}

/** Groups in which only certain attributes differ. */
export interface Contrasts {
  /** Share of the groups, 0 to 1, as far as the captions mention such an attribute. */
  share: number;
  among: readonly Attribute[];
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
  /** Default: none. */
  contrasts?: Contrasts;
}

/**
 * Pictures and captions for contrastive learning, in groups that differ only in a few of the mentioned attributes.
 * Random pictures can be distinguished by their colours alone, so that nothing else would be learned.
 *
 * @param source the random numbers of this batch
 */
export function clipBatch(source: KeyedNoise, options: ClipBatchOptions): ClipBatch {
  const { batchSize, groupSize, kind = FACES } = options;
  const length = kind.size * kind.size * 3;
  const pixels = new Float32Array(batchSize * length);
  const captions: string[] = [];
  while (captions.length < batchSize) {
    const random = source.at(captions.length).random();
    const size = Math.min(groupSize, batchSize - captions.length);
    for (const [text, face] of hardGroup(kind, random, size, options)) {
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
function hardGroup(
  kind: FaceKind,
  random: RandomNumbers,
  size: number,
  { oneWording, contrasts }: ClipBatchOptions,
): Map<string, Face> {
  const first = sampleTrainFace(random, kind.sample);
  const describe = oneWording
    ? kind.wording(first, keyedRandom(4, "one wording"), "full")
    : kind.wording(first, random, "mixed");
  const { text, ...says } = describe(first);
  const spokenOf = says.asked ? attributesAsked(says.asked) : says.mentioned;
  const varied = contrasted(contrasts, spokenOf, random) ?? variedOf(spokenOf, random);
  const group = new Map([[text, first]]);
  // A caption that only names a person stays alone.
  for (let tries = 0; spokenOf.length > 0 && tries < 4 * size && group.size < size; tries++) {
    const face =
      varied.length > 0 ? redrawAttributes(first, varied, random) : swapOneAttribute(first, random, spokenOf);
    if (!isHeldOut(face)) group.set(describe(face).text, face);
  }
  return group;
}

/** The attributes that vary within a group; none if each face differs from the first in another one. */
function variedOf(spokenOf: readonly Attribute[], random: RandomNumbers): Attribute[] {
  const dice = random.uniform();
  return dice < 1 / 4 ? [] : someOf(spokenOf, dice < 3 / 4 ? 1 : 2 + random.integer(3), random);
}

/** For a group of contrasts, one or all of its attributes that the caption speaks of; otherwise undefined. */
function contrasted(contrasts: Contrasts | undefined, spokenOf: readonly Attribute[], random: RandomNumbers) {
  if (!contrasts || random.uniform() >= contrasts.share) return undefined;
  const among = contrasts.among.filter((name) => spokenOf.includes(name));
  return among.length > 0 ? someOf(among, 1 + random.integer(among.length), random) : undefined;
}

/** `count` of the values, or all if there are fewer; all are equally likely. */
function someOf<T>(values: readonly T[], count: number, random: RandomNumbers): T[] {
  return [...permutation(values.length, random)].slice(0, count).map((i) => values[i]!);
}
