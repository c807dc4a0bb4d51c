import { type Attribute, ATTRIBUTES, type Face } from "../datasets/faces/index.js";
import { variantCounts } from "../datasets/faces/render.js";
import { paintBeard } from "../datasets/portraits/people.js";
import { nearestPortrait, pixelDistance } from "./nearest-portrait.js";

/** What a picture of 32 * 32 * 3 numbers in 0..255 shows. */
export interface Reading {
  readonly face: Face;
  /** Undefined without a beard. */
  readonly beardColor: Face["hairColor"] | undefined;
}

/** Finds the nearest portrait, then the nearest beard on it, in any colour. */
export function readPerson(picture: ArrayLike<number>): Reading {
  const { face, variants, distance } = nearestPortrait(picture);
  let nearest: { distance: number; color: Reading["beardColor"] } = {
    distance,
    color: face.beard === "yes" ? face.hairColor : undefined,
  };
  const bearded = { ...face, beard: "yes" } as const;
  for (let beard = 0; beard < variantCounts(bearded).beard; beard++) {
    for (const color of ATTRIBUTES.hairColor) {
      const found = pixelDistance(paintBeard(bearded, { ...variants, beard }, color), picture);
      if (found < nearest.distance) nearest = { distance: found, color };
    }
  }
  const beard = nearest.color === undefined ? "no" : "yes";
  return { face: { ...face, beard }, beardColor: nearest.color };
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
