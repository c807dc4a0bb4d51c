import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import { bodyLayer, GRID, parseColor, partLayer, type Layer } from "./artwork.js";
import { requireFace, type Face } from "./attributes.js";
import { BACKGROUNDS, EYES, GLASSES, HAIRS, HATS, MOUTH, SHIRTS, SKINS, SUNGLASS_LENS } from "./palette.js";
import { pick } from "./sample.js";

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
 * Draws a face as 16 * 16 * 3 bytes, RGB, row by row. `random` picks what no attribute fixes: the variant of each
 * part, the shade of the skin, the eyes. The same face and random numbers give the same bytes.
 */
export function renderFace(face: Face, random: RandomNumbers): Uint8Array {
  requireFace(face);
  const pixels = new Float32Array(GRID * GRID * 3);
  const background = parseColor(BACKGROUNDS[face.background]);
  for (let i = 0; i < pixels.length; i++) pixels[i] = background[i % 3]!;
  for (const layer of faceLayers(face, random)) composite(pixels, layer);
  return Uint8Array.from(pixels, Math.round);
}

/**
 * The parts of the face from back to front, in the order of the artwork, the head first. They are shared: do not write
 * to them.
 */
export function faceLayers(face: Face, random: RandomNumbers): Layer[] {
  const [shirtColor, secondTone] = SHIRTS[face.shirtColor];
  const hairColor = HAIRS[face.hairColor];
  const layers = [
    bodyLayer(pick(SKINS[face.skin], random)),
    partLayer("clothing", pick(SHIRT_PARTS[face.shirt], random), shirtColor, { fill: "#fff", by: secondTone }),
    partLayer("eyes", pick(EYE_PARTS, random), pick(EYES, random)),
  ];
  if (face.eyewear !== "none") {
    const variant = pick(EYEWEAR_PARTS[face.eyewear], random);
    layers.push(partLayer("glasses", variant, GLASSES, { fill: "#000", by: SUNGLASS_LENS }));
  }
  if (face.beard === "yes") layers.push(partLayer("beard", pick(BEARD_PARTS, random), hairColor));
  layers.push(partLayer("mouth", pick(MOUTH_PARTS[face.mouth], random), MOUTH));
  if (face.hair !== "bald") {
    const variants = face.hair === "short" && face.hat !== "none" ? SHORT_UNDER_HAT : HAIR_PARTS[face.hair];
    layers.push(partLayer("hair", pick(variants, random), hairColor));
  }
  if (face.hat !== "none") layers.push(partLayer("hat", pick(HAT_PARTS[face.hat], random), HATS[face.hatColor]));
  return layers;
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
