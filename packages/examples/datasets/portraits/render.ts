import type { RandomNumbers } from "@tfjs-diffusion/schedulers";
import type { Layer } from "../faces/artwork.js";
import { type Face, InvalidFaceError, requireFace } from "../faces/attributes.js";
import { faceLayers } from "../faces/render.js";
import { drawBackground } from "./background.js";
import { FINE, scale2x } from "./scale2x.js";
import { shade } from "./shade.js";

/** The pictures' width and height. */
export const PORTRAIT_SIZE = FINE;

/** What is left of the light one pixel below a part that lies on another. */
const CAST_SHADOW = 0.72;
/** The line around the figure. */
const OUTLINE = [28, 22, 34] as const;

/** Where the figure's 32 x 32 pixels stand in a picture as high and wider. */
export interface Canvas {
  /** At least 32; default 32. */
  width?: number;
  /** Columns to the left of the figure, default 0. */
  left?: number;
}

/**
 * Draws a portrait as 32 * width * 3 bytes, RGB, row by row: the parts of the 16 x 16 face, each doubled and shaded,
 * casting a shadow on what is below, the whole outlined before a background with a pattern. `random` picks what no
 * attribute fixes. The same face and random numbers give the same bytes.
 *
 * @throws InvalidFaceError
 */
export function renderPortrait(face: Face, random: RandomNumbers, { width = FINE, left = 0 }: Canvas = {}): Uint8Array {
  requireFace(face);
  if (face.pattern === undefined) throw new InvalidFaceError("A portrait needs a pattern for its background.");
  const figure = new Float32Array(FINE * FINE * 4);
  for (const layer of faceLayers(face, random)) place(figure, finePart(layer));
  const pixels = background(face.background, face.pattern, width).slice();
  for (let i = 0; i < FINE * width; i++) {
    const [x, y] = [(i % width) - left, Math.floor(i / width)];
    const at = y * FINE + x;
    const color = isCovered(figure, x, y)
      ? figure.subarray(at * 4, at * 4 + 3)
      : isBeside(figure, x, y)
        ? OUTLINE
        : undefined;
    if (color) pixels.set(color, i * 3);
  }
  return Uint8Array.from(pixels, Math.round);
}

const fineParts = new WeakMap<Layer, Layer>();

function finePart(layer: Layer): Layer {
  let fine = fineParts.get(layer);
  if (!fine) fineParts.set(layer, (fine = shade(scale2x(layer))));
  return fine;
}

const backgrounds = new Map<string, Float32Array>();

function background(color: Face["background"], pattern: NonNullable<Face["pattern"]>, width: number): Float32Array {
  const key = `${color} ${pattern} ${width}`;
  let pixels = backgrounds.get(key);
  if (!pixels) backgrounds.set(key, (pixels = drawBackground(color, pattern, width)));
  return pixels;
}

/** Lays a part over the figure; what shows of the figure just below the part is darkened. */
function place(figure: Float32Array, part: Layer): void {
  const covers = (pixel: number) => pixel >= 0 && part[pixel * 4 + 3]! > 0;
  for (let pixel = 0; pixel < FINE * FINE; pixel++) {
    const at = pixel * 4;
    const alpha = part[at + 3]!;
    const light = alpha === 0 && covers(pixel - FINE) ? CAST_SHADOW : 1;
    for (let k = at; k < at + 3; k++) figure[k] = (figure[k]! * (1 - alpha) + part[k]! * alpha) * light;
    if (alpha > 0) figure[at + 3] = 1;
  }
}

/** Whether one of a pixel's four neighbours belongs to the figure. */
function isBeside(figure: Float32Array, x: number, y: number): boolean {
  const covered = (x: number, y: number) => isCovered(figure, x, y);
  return covered(x - 1, y) || covered(x + 1, y) || covered(x, y - 1) || covered(x, y + 1);
}

function isCovered(figure: Float32Array, x: number, y: number): boolean {
  return x >= 0 && y >= 0 && x < FINE && y < FINE && figure[(y * FINE + x) * 4 + 3]! > 0;
}
