import { keyedRandom, permutation, type RandomNumbers } from "@tfjs-diffusion/schedulers";
import {
  caption,
  captionWith,
  FACE_SIZE,
  isHeldOut,
  redrawAttributes,
  renderFace,
  sampleTrainFace,
  swapOneAttribute,
  type Face,
} from "../../datasets/faces/index.js";

export interface ClipBatch {
  /** [batchSize, 16, 16, 3] in [-1, 1]. */
  pixels: Float32Array;
  captions: string[];
}

/**
 * Pictures and captions for contrastive learning, in groups that are alike in all but a few mentioned attributes.
 * Random pictures are told apart by their colours alone, and then neither tower ever learns what a beard is, because the
 * other does not know it either: CLIP trained on them knew 100 % of skins and no mouth at all.
 */
export function clipBatch(seed: number, step: number, batchSize: number, groupSize: number): ClipBatch {
  const pixels = new Float32Array(batchSize * FACE_SIZE * FACE_SIZE * 3);
  const captions: string[] = [];
  while (captions.length < batchSize) {
    const random = keyedRandom(seed, "clip", step, captions.length);
    for (const [text, face] of hardGroup(random, Math.min(groupSize, batchSize - captions.length))) {
      const offset = captions.length * FACE_SIZE * FACE_SIZE * 3;
      renderFace(face, random).forEach((byte, i) => (pixels[offset + i] = byte / 127.5 - 1));
      captions.push(text);
    }
  }
  return { pixels, captions };
}

/**
 * Up to `size` faces by caption, no two captions the same; a caption of few words leaves room for few. One group in
 * three holds a face and others that differ from it in one attribute each, or in two exchanged colours (which colour
 * belongs to what?); in the rest, the same one to four attributes vary in all.
 */
function hardGroup(random: RandomNumbers, size: number): Map<string, Face> {
  const first = sampleTrainFace(random);
  const { text, mentioned, wording } = caption(first, random, "mixed");
  const varied = random.uniform() < 1 / 3 ? undefined : someOf(mentioned, 1 + random.integer(4), random);
  const group = new Map([[text, first]]);
  for (let tries = 0; tries < 4 * size && group.size < size; tries++) {
    const face = varied ? redrawAttributes(first, varied, random) : swapOneAttribute(first, random, mentioned);
    if (!isHeldOut(face)) group.set(captionWith(face, wording).text, face);
  }
  return group;
}

/** `count` of the values, or all if there are fewer, each as likely as the others. */
function someOf<T>(values: readonly T[], count: number, random: RandomNumbers): T[] {
  return [...permutation(values.length, random)].slice(0, count).map((i) => values[i]!);
}
