import { keyedRandom, type RandomNumbers } from "@tfjs-diffusion/schedulers";
import {
  caption,
  captionWith,
  FACE_SIZE,
  isHeldOut,
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
 * Pictures and captions for contrastive learning, in groups that differ in one mentioned attribute each: telling them
 * apart takes knowing which colour belongs to what, which random pictures, alike in nothing, never ask for.
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

/** Up to `size` faces by caption, no two captions the same; a caption of few words leaves room for few. */
function hardGroup(random: RandomNumbers, size: number): Map<string, Face> {
  const first = sampleTrainFace(random);
  const { text, mentioned, wording } = caption(first, random, "mixed");
  const group = new Map([[text, first]]);
  for (let tries = 0; tries < 4 * size && group.size < size; tries++) {
    const face = swapOneAttribute(first, random, mentioned);
    if (!isHeldOut(face)) group.set(captionWith(face, wording).text, face);
  }
  return group;
}
