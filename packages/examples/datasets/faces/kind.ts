import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import type { Asked } from "./asked.js";
import { ATTRIBUTE_NAMES, type Attribute, type Face } from "./attributes.js";
import { type CaptionStyle, drawWording } from "./caption.js";
import { FACE_SIZE, renderFace } from "./render.js";
import { type FaceSampler, sampleFace } from "./sample.js";

/** A face in words. */
export interface Description {
  readonly text: string;
  /** The attributes whose values the text gives, in the order of ATTRIBUTES. */
  readonly mentioned: Attribute[];
  /** Everything that the text requests, if it allows several values ("a hat"). Default: as mentioned. */
  readonly asked?: Asked;
}

/** The differences between the data sets of faces. Splits, training and evaluation are the same for all. */
export interface FaceKind {
  /** Width and height of its pictures. */
  readonly size: number;
  readonly attributes: readonly Attribute[];
  /** Draws a face with the distribution of the data set. */
  readonly sample: FaceSampler;
  /** [size * size * 3] bytes, RGB, row by row; the same for the same face and random numbers. */
  render(face: Face, random: RandomNumbers): Uint8Array;
  /**
   * Draws a wording: which attributes to mention, and how. The result describes any face with that wording.
   */
  wording(face: Face, random: RandomNumbers, style: CaptionStyle): (face: Face) => Description;
}

/** 16 x 16 pixels, eleven attributes. */
export const FACES: FaceKind = {
  size: FACE_SIZE,
  attributes: ATTRIBUTE_NAMES,
  sample: sampleFace,
  render: renderFace,
  wording: drawWording,
};
