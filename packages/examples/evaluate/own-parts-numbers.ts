import * as tf from "@tensorflow/tfjs";
import type { Attribute, Face } from "../datasets/faces/index.js";
import { PAINTS, paintSkin } from "../datasets/portraits/people.js";
import { outlines } from "../train/portraits/outlines.js";
import { nearestPortrait } from "./nearest-portrait.js";

/**
 * How well pictures [B, H, W, 3] in [0, 1] follow outlines, as `outlines` makes them: the F1 score of the white pixels,
 * which is twice the number that is white in both, divided by the sum of the two numbers.
 */
export function outlineAgreement(images: tf.Tensor4D, wanted: tf.Tensor4D): number {
  return tf.tidy(() => {
    const found = outlines(images.mul(2).sub(1));
    return found.mul(wanted).sum().mul(2).div(found.add(wanted).sum()).dataSync()[0]!;
  });
}

/** What a picture of 32 * 32 * 3 numbers in 0..255 shows. */
export interface Reading {
  readonly face: Face;
  /** The skin is green: of the nearest portrait, and the same with green, blue and grey skin, the green one is nearest. */
  readonly isGreen: boolean;
}

export function readPerson(picture: ArrayLike<number>): Reading {
  const { face, variants, distance } = nearestPortrait(picture);
  const painted = (Object.keys(PAINTS) as (keyof typeof PAINTS)[]).map((color) => {
    const pixels = paintSkin(face, variants, color);
    const squares = pixels.reduce((sum, byte, i) => sum + (byte - picture[i]!) ** 2, 0);
    return { color, distance: Math.sqrt(squares / pixels.length) / 255 };
  });
  const nearest = painted.reduce((best, one) => (one.distance < best.distance ? one : best));
  return { face, isGreen: nearest.color === "green" && nearest.distance < distance };
}

/** The share of `names` that are as wanted, over all faces, and the share of faces in which all of them are. */
export function agreement(faces: readonly Face[], wanted: readonly Partial<Face>[], names: readonly Attribute[]) {
  const right = faces.map((face, i) => names.filter((name) => face[name] === wanted[i]![name]).length);
  const sum = right.reduce((a, b) => a + b, 0);
  return {
    each: sum / (faces.length * names.length),
    all: right.filter((count) => count === names.length).length / faces.length,
  };
}
