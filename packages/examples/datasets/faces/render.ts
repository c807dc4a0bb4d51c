import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import { bodyLayer, GRID, parseColor, partLayer, type Layer } from "./artwork.js";
import { requireFace, type Face } from "./attributes.js";
import { BACKGROUNDS, EYES, GLASSES, HAIRS, HATS, MOUTH, SHIRTS, SKINS, SUNGLASS_LENS } from "./palette.js";

/** The pictures' width and height. */
export const FACE_SIZE = GRID;

const HAIR_PARTS: Record<Exclude<Face["hair"], "bald">, readonly string[]> = {
  short: ["short01", "short06", "short16", "short17", "short22"],
  spiky: ["short11", "short13", "long15"],
  mohawk: ["short05", "short21"],
  long: ["long01", "long03", "long07", "long09", "long12", "long13"],
  pigtails: ["long18"],
};
/** The short hair that shows beside the temples under every hat; under a hat the others would look bald. */
const SHORT_UNDER_HAT = ["short17"];

const HAT_PARTS: Record<Exclude<Face["hat"], "none">, readonly string[]> = {
  beanie: ["variant03", "variant05"],
  cap: ["variant02", "variant07"],
  fedora: ["variant06"],
};
const EYEWEAR_PARTS: Record<Exclude<Face["eyewear"], "none">, readonly string[]> = {
  glasses: ["light05", "light06", "light07"],
  sunglasses: ["dark01", "dark03", "dark07"],
};
const BEARD_PARTS = ["variant02", "variant03", "variant05"];
const MOUTH_PARTS: Record<Face["mouth"], readonly string[]> = {
  smiling: ["happy09", "happy12"],
  frowning: ["sad01", "sad09"],
  surprised: ["happy01"],
};
const SHIRT_PARTS: Record<Face["shirt"], readonly string[]> = {
  plain: ["variant03", "variant04", "variant11"],
  striped: ["variant13"],
  checkered: ["variant06"],
};
const EYE_PARTS = ["variant01", "variant08", "variant09"];

/**
 * Draws a face as 16 * 16 * 3 bytes, RGB, row by row. `random` chooses what no attribute determines: the variant of
 * each part, the shade of the skin, the eyes. The same face and random numbers give the same bytes.
 */
export function renderFace(face: Face, random: RandomNumbers): Uint8Array {
  requireFace(face);
  const pixels = new Float32Array(GRID * GRID * 3);
  const background = parseColor(BACKGROUNDS[face.background]);
  for (let i = 0; i < pixels.length; i++) pixels[i] = background[i % 3]!;
  for (const layer of faceLayers(face, drawVariants(face, random))) composite(pixels, layer);
  return Uint8Array.from(pixels, Math.round);
}

/** Which of its drawings each part of a face is, and which shade and eyes it has: numbers from 0. */
export interface Variants {
  readonly skin: number;
  readonly shirt: number;
  readonly eyes: number;
  readonly eyeColor: number;
  readonly eyewear: number;
  readonly beard: number;
  readonly mouth: number;
  readonly hair: number;
  readonly hat: number;
}

/** How many variants of each part a face can have; 0 for what it does not have. */
export function variantCounts(face: Face): Variants {
  return {
    skin: SKINS[face.skin].length,
    shirt: SHIRT_PARTS[face.shirt].length,
    eyes: EYE_PARTS.length,
    eyeColor: EYES.length,
    eyewear: face.eyewear === "none" ? 0 : EYEWEAR_PARTS[face.eyewear].length,
    beard: face.beard === "yes" ? BEARD_PARTS.length : 0,
    mouth: MOUTH_PARTS[face.mouth].length,
    hair: hairParts(face).length,
    hat: face.hat === "none" ? 0 : HAT_PARTS[face.hat].length,
  };
}

/** Draws what no attribute fixes; only for parts that the face has, in this order. */
export function drawVariants(face: Face, random: RandomNumbers): Variants {
  const counts = Object.entries(variantCounts(face)) as [keyof Variants, number][];
  return Object.fromEntries(
    counts.map(([part, count]) => [part, count === 0 ? 0 : random.integer(count)]),
  ) as unknown as Variants;
}

/**
 * The parts of the face from back to front, in the order of the artwork, the head first. They are shared: do not write
 * to them.
 */
export function faceLayers(face: Face, variants: Variants): Layer[] {
  const [shirtColor, secondTone] = SHIRTS[face.shirtColor];
  const hairColor = HAIRS[face.hairColor];
  const layers = [
    bodyLayer(SKINS[face.skin][variants.skin]!),
    partLayer("clothing", SHIRT_PARTS[face.shirt][variants.shirt]!, shirtColor, { fill: "#fff", by: secondTone }),
    partLayer("eyes", EYE_PARTS[variants.eyes]!, EYES[variants.eyeColor]!),
  ];
  if (face.eyewear !== "none") {
    const variant = EYEWEAR_PARTS[face.eyewear][variants.eyewear]!;
    layers.push(partLayer("glasses", variant, GLASSES, { fill: "#000", by: SUNGLASS_LENS }));
  }
  if (face.beard === "yes") layers.push(partLayer("beard", BEARD_PARTS[variants.beard]!, hairColor));
  layers.push(partLayer("mouth", MOUTH_PARTS[face.mouth][variants.mouth]!, MOUTH));
  if (face.hair !== "bald") layers.push(partLayer("hair", hairParts(face)[variants.hair]!, hairColor));
  if (face.hat !== "none") layers.push(partLayer("hat", HAT_PARTS[face.hat][variants.hat]!, HATS[face.hatColor]));
  return layers;
}

function hairParts(face: Face): readonly string[] {
  if (face.hair === "bald") return [];
  return face.hair === "short" && face.hat !== "none" ? SHORT_UNDER_HAT : HAIR_PARTS[face.hair];
}

function composite(pixels: Float32Array, layer: Layer): void {
  for (let cell = 0; cell < GRID * GRID; cell++) {
    const alpha = layer[cell * 4 + 3]!;
    if (alpha === 0) continue;
    for (let k = 0; k < 3; k++) {
      const at = cell * 3 + k;
      pixels[at] = pixels[at]! + (layer[cell * 4 + k]! - pixels[at]!) * alpha;
    }
  }
}
