import { GRID, type Layer } from "../faces/artwork.js";

/** Width and height of a layer after {@link scale2x}. */
export const FINE = 2 * GRID;

/**
 * Doubles a layer's size and rounds its corners (Scale2x, Mazzoleni 2001): each cell becomes four, and each of the four
 * takes the colour of its two neighbours if these are equal and the other two are not. [GRID, GRID, 4] -> [FINE, FINE,
 * 4]; beyond the edge the edge cells are repeated.
 */
export function scale2x(layer: Layer): Layer {
  const fine = new Float32Array(FINE * FINE * 4);
  const clamp = (i: number) => Math.min(Math.max(i, 0), GRID - 1);
  const cellAt = (x: number, y: number) => clamp(y) * GRID + clamp(x);
  const same = (a: number, b: number) => [0, 1, 2, 3].every((k) => layer[a * 4 + k] === layer[b * 4 + k]);
  for (let y = 0; y < GRID; y++) {
    for (let x = 0; x < GRID; x++) {
      const own = cellAt(x, y);
      const [up, down, left, right] = [cellAt(x, y - 1), cellAt(x, y + 1), cellAt(x - 1, y), cellAt(x + 1, y)];
      const round = !same(up, down) && !same(left, right);
      const corner = (vertical: number, horizontal: number) => (round && same(vertical, horizontal) ? vertical : own);
      const corners = [corner(up, left), corner(up, right), corner(down, left), corner(down, right)];
      corners.forEach((from, i) => {
        const to = (2 * y + (i >> 1)) * FINE + 2 * x + (i & 1);
        fine.set(layer.subarray(from * 4, from * 4 + 4), to * 4);
      });
    }
  }
  return fine;
}
