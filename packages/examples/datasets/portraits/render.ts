import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import type { Layer } from "../faces/artwork.js";
import { type Face, InvalidFaceError, requireFace } from "../faces/attributes.js";
import { drawVariants, faceLayers, type Variants } from "../faces/render.js";
import { drawBackground } from "./background.js";
import { FINE, scale2x } from "./scale2x.js";
import { shade } from "./shade.js";

/** The pictures' width and height. */
export const PORTRAIT_SIZE = FINE;

/** The brightness factor one pixel below a part that lies on another. */
const CAST_SHADOW = 0.72;
/** The line around the figure. */
const OUTLINE = [28, 22, 34] as const;

/** The position of the 32 x 32 pixel figure in a wider picture. */
export interface Canvas {
  /** At least 32; default 32. */
  width?: number;
  /** Columns to the left of the figure, default 0. */
  left?: number;
}

/**
 * Draws a portrait as 32 * width * 3 bytes, RGB, row by row: the parts of the 16 x 16 face, each doubled and shaded,
 * with a shadow on the parts below it, and an outline in front of a patterned background. `random` chooses what no
 * attribute determines. The same face and random numbers give the same bytes.
 *
 * @throws InvalidFaceError
 */
export function renderPortrait(face: Face, random: RandomNumbers, canvas?: Canvas): Uint8Array {
  requireFace(face);
  return renderVariants(face, drawVariants(face, random), canvas);
}

/**
 * Draws a portrait whose every part is given.
 *
 * @throws InvalidFaceError
 */
export function renderVariants(face: Face, variants: Variants, { width = FINE, left = 0 }: Canvas = {}): Uint8Array {
  requireFace(face);
  if (face.pattern === undefined) throw new InvalidFaceError("A portrait needs a pattern for its background.");
  const figure = new Float32Array(FINE * FINE * 4);
  for (const layer of faceLayers(face, variants)) place(figure, finePart(layer));
  const pixels = background(face.background, face.pattern, width).slice();
  for (let y = 0; y < FINE; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      const from = (y * FINE + x - left) * 4;
      if (isCovered(figure, x - left, y)) for (let k = 0; k < 3; k++) pixels[at + k] = Math.round(figure[from + k]!);
      else if (isBeside(figure, x - left, y)) for (let k = 0; k < 3; k++) pixels[at + k] = OUTLINE[k]!;
    }
  }
  return pixels;
}

/** A part at 32 x 32, and the pixels that it changes. */
interface FinePart {
  readonly layer: Layer;
  readonly covered: readonly number[];
  /** Just below a covered pixel, and not covered. */
  readonly shadowed: readonly number[];
}

const fineParts = new WeakMap<Layer, FinePart>();

function finePart(coarse: Layer): FinePart {
  let part = fineParts.get(coarse);
  if (!part) {
    const layer = shade(scale2x(coarse));
    const covers = (pixel: number) => pixel >= 0 && layer[pixel * 4 + 3]! > 0;
    const pixels = Array.from({ length: FINE * FINE }, (_, pixel) => pixel);
    const covered = pixels.filter(covers);
    const shadowed = pixels.filter((pixel) => !covers(pixel) && covers(pixel - FINE));
    fineParts.set(coarse, (part = { layer, covered, shadowed }));
  }
  return part;
}

const backgrounds = new Map<string, Uint8Array>();

function background(color: Face["background"], pattern: NonNullable<Face["pattern"]>, width: number): Uint8Array {
  const key = `${color} ${pattern} ${width}`;
  let pixels = backgrounds.get(key);
  if (!pixels) backgrounds.set(key, (pixels = Uint8Array.from(drawBackground(color, pattern, width), Math.round)));
  return pixels;
}

/** Lays a part over the figure, and darkens the figure's pixels just below the part. */
function place(figure: Float32Array, { layer, covered, shadowed }: FinePart): void {
  for (const pixel of covered) {
    const at = pixel * 4;
    const alpha = layer[at + 3]!;
    for (let k = at; k < at + 3; k++) figure[k] = figure[k]! * (1 - alpha) + layer[k]! * alpha;
    figure[at + 3] = 1;
  }
  for (const pixel of shadowed) {
    for (let k = pixel * 4; k < pixel * 4 + 3; k++) figure[k] = figure[k]! * CAST_SHADOW;
  }
}

/** Whether one of a pixel's four neighbours belongs to the figure. */
function isBeside(figure: Float32Array, x: number, y: number): boolean {
  return (
    isCovered(figure, x - 1, y) ||
    isCovered(figure, x + 1, y) ||
    isCovered(figure, x, y - 1) ||
    isCovered(figure, x, y + 1)
  );
}

function isCovered(figure: Float32Array, x: number, y: number): boolean {
  return x >= 0 && y >= 0 && x < FINE && y < FINE && figure[(y * FINE + x) * 4 + 3]! > 0;
}
