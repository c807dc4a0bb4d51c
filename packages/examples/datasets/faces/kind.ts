import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import { ATTRIBUTE_NAMES, type Attribute, type Face } from "./attributes.js";
import { FACE_SIZE, renderFace } from "./render.js";
import { sampleFace } from "./sample.js";

/** What differs between the data sets of faces; captions, splits, training and evaluation are the same for all. */
export interface FaceKind {
  /** Width and height of its pictures. */
  readonly size: number;
  readonly attributes: readonly Attribute[];
  /** Draws any face, as likely as the data set has it. */
  sample(random: RandomNumbers): Face;
  /** [size * size * 3] bytes, RGB, row by row; the same for the same face and random numbers. */
  render(face: Face, random: RandomNumbers): Uint8Array;
}

/** 16 x 16 pixels, eleven attributes. */
export const FACES: FaceKind = {
  size: FACE_SIZE,
  attributes: ATTRIBUTE_NAMES,
  sample: sampleFace,
  render: renderFace,
};
