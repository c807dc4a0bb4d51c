import { ATTRIBUTES, type Face, HIDDEN_BY_HAT, visible } from "../datasets/faces/index.js";
import { type Variants, variantCounts } from "../datasets/faces/render.js";
import { renderVariants } from "../datasets/portraits/index.js";

/** A portrait with all that can be chosen about it. */
export interface Fit {
  readonly face: Face;
  readonly variants: Variants;
  /** Root mean square distance to the picture, 1 from black to white. */
  readonly distance: number;
}

type Candidate = Pick<Fit, "face" | "variants">;

/** Where the search begins: nothing covers the head. */
const PLAIN: Candidate = {
  face: {
    background: "white",
    pattern: "plain",
    skin: "tan",
    hair: "bald",
    hairColor: "brown",
    hat: "none",
    hatColor: "red",
    eyewear: "none",
    beard: "no",
    mouth: "smiling",
    shirt: "plain",
    shirtColor: "red",
  },
  variants: { skin: 0, shirt: 0, eyes: 0, eyeColor: 0, eyewear: 0, beard: 0, mouth: 0, hair: 0, hat: 0 },
};

/**
 * Finds the portrait nearest to a picture: the judge that has learned nothing. It renders all alternatives of one part
 * after the other, all else as found so far, and keeps the nearest, until no part can be improved. Hair and hat cover
 * each other, so their kinds are also tried together.
 *
 * @param picture 32 * 32 * 3 numbers in 0..255
 */
export function nearestPortrait(picture: ArrayLike<number>): Fit {
  let best: Fit = { ...PLAIN, distance: distance(PLAIN, picture) };
  for (let before = Infinity; best.distance < before;) {
    before = best.distance;
    for (const alternatives of PARTS) {
      for (const candidate of alternatives(best)) {
        const found = distance(candidate, picture);
        if (found < best.distance) best = { ...candidate, distance: found };
      }
    }
  }
  return best;
}

/** What can be seen of the nearest portrait. */
export const readPortrait = (picture: ArrayLike<number>): Partial<Face> => visible(nearestPortrait(picture).face);

const distance = ({ face, variants }: Candidate, picture: ArrayLike<number>) =>
  pixelDistance(renderVariants(face, variants), picture);

/** The root mean square distance of two pictures of bytes, 1 from black to white. */
export function pixelDistance(pixels: Uint8Array, picture: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < pixels.length; i++) sum += (pixels[i]! - picture[i]!) ** 2;
  return Math.sqrt(sum / pixels.length) / 255;
}

/** Alternatives of one part of a portrait. */
type Part = (found: Candidate) => Candidate[];

const PARTS: readonly Part[] = [
  ({ face, variants }) =>
    ATTRIBUTES.background.flatMap((background) =>
      ATTRIBUTES.pattern.map((pattern) => ({ face: { ...face, background, pattern }, variants })),
    ),
  (found) =>
    ATTRIBUTES.shirt.flatMap((shirt) =>
      ATTRIBUTES.shirtColor.flatMap((shirtColor) => change(found, { shirt, shirtColor }, "shirt")),
    ),
  (found) => ATTRIBUTES.skin.flatMap((skin) => change(found, { skin }, "skin")),
  hairAlternatives,
  (found) => hatAlternatives(found).flatMap((hatted) => [hatted, ...change(hatted, { hair: "bald" }, "hair")]),
  hairAlternatives,
  (found) => ATTRIBUTES.eyewear.flatMap((eyewear) => change(found, { eyewear }, "eyewear")),
  (found) => [
    ...change(found, { beard: "no" }, "beard"),
    ...colorsOfHair(found).flatMap((hairColor) => change(found, { beard: "yes", hairColor }, "beard")),
  ],
  (found) => ATTRIBUTES.mouth.flatMap((mouth) => change(found, { mouth }, "mouth")),
  (found) => change(found, {}, "eyes").flatMap((eyed) => change(eyed, {}, "eyeColor")),
];

/** A bald head without a beard says nothing about the beard's colour. */
const colorsOfHair = ({ face }: Candidate) =>
  face.hair === "bald" && face.beard === "no" ? ATTRIBUTES.hairColor : [face.hairColor];

/** All styles that show under the hat, in all colours. */
function hairAlternatives(found: Candidate): Candidate[] {
  const { hat, beard } = found.face;
  const styles = ATTRIBUTES.hair.filter((hair) => hat === "none" || !HIDDEN_BY_HAT.includes(hair));
  return styles.flatMap((hair) => {
    const colors = hair === "bald" && beard === "no" ? [found.face.hairColor] : ATTRIBUTES.hairColor;
    return colors.flatMap((hairColor) => change(found, { hair, hairColor }, "hair"));
  });
}

/** All hats in all colours, over hair that shows under them. */
function hatAlternatives(found: Candidate): Candidate[] {
  const { hair } = found.face;
  return ATTRIBUTES.hat.flatMap((hat) => {
    if (hat === "none") return change(found, { hat }, "hat");
    const shown = HIDDEN_BY_HAT.includes(hair) ? "short" : hair;
    return ATTRIBUTES.hatColor.flatMap((hatColor) => change(found, { hat, hatColor, hair: shown }, "hat"));
  });
}

/** The portrait with other values of some attributes, and each variant of one part. */
function change({ face, variants }: Candidate, values: Partial<Face>, part: keyof Variants): Candidate[] {
  const changed = { ...face, ...values };
  const counts = variantCounts(changed);
  // Other parts may have fewer variants now: short hair under a hat.
  const kept = Object.fromEntries(
    Object.entries(variants).map(([name, variant]: [string, number]) => [
      name,
      variant < counts[name as keyof Variants] ? variant : 0,
    ]),
  ) as unknown as Variants;
  return Array.from({ length: Math.max(1, counts[part]) }, (_, variant) => ({
    face: changed,
    variants: { ...kept, [part]: variant },
  }));
}
