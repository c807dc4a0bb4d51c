import { parseColor } from "../faces/artwork.js";
import type { Face } from "../faces/attributes.js";
import { BACKGROUNDS } from "../faces/palette.js";
import { FINE } from "./scale2x.js";

type Pattern = NonNullable<Face["pattern"]>;

/** The share of the second tone at a pixel, 0 to 1. */
const SECOND_TONE: Record<Pattern, (x: number, y: number) => number> = {
  plain: () => 0,
  striped: (x, y) => Number((x + y) % 8 < 4),
  dotted: (x, y) => {
    const row = Math.floor(y / 4);
    return Number(y % 4 < 2 && (x + 4 * (row % 2)) % 8 < 2);
  },
  gradient: (_, y) => y / (FINE - 1),
};

/**
 * A background as [FINE * width * 3] numbers in 0..255: its colour and, where the pattern has it, a darker tone of it.
 */
export function drawBackground(color: Face["background"], pattern: Pattern, width = FINE): Float32Array {
  const first = parseColor(BACKGROUNDS[color]);
  const second = secondTone(color);
  return Float32Array.from({ length: FINE * width * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    const share = SECOND_TONE[pattern](pixel % width, Math.floor(pixel / width));
    return first[i % 3]! * (1 - share) + second[i % 3]! * share;
  });
}

/** Darker; of the dark background, lighter. */
function secondTone(color: Face["background"]): number[] {
  const first = parseColor(BACKGROUNDS[color]);
  return color === "black" ? first.map((value) => value + 66) : first.map((value) => value * 0.68);
}
