import type { Layer } from "../faces/artwork.js";
import { FINE } from "./scale2x.js";

/** Light falls from the upper left: the relative brightness change of the rim that faces it or is turned away. */
const LIGHT = 0.22;
const SHADE = 0.26;
/** Parts with fewer pixels, such as eyes and mouths, are not shaded, because they would consist of rim only. */
const SMALL = 60;

/**
 * Gives a part its bright rim above and to the left, its dark one below and to the right. Changes only the colours, not
 * alpha.
 */
export function shade(layer: Layer): Layer {
  const covered = (x: number, y: number) =>
    x < 0 || y < 0 || x >= FINE || y >= FINE || layer[(y * FINE + x) * 4 + 3]! > 0;
  const area = layer.filter((value, i) => i % 4 === 3 && value > 0).length;
  if (area < SMALL) return layer;
  const shaded = layer.slice();
  for (let y = 0; y < FINE; y++) {
    for (let x = 0; x < FINE; x++) {
      const light = covered(x - 1, y) && covered(x, y - 1) ? 0 : LIGHT;
      const dark = covered(x + 1, y) && covered(x, y + 1) ? 0 : SHADE;
      const at = (y * FINE + x) * 4;
      for (let k = at; k < at + 3; k++) {
        shaded[k] = dark > 0 ? layer[k]! * (1 - dark) : layer[k]! + (255 - layer[k]!) * light;
      }
    }
  }
  return shaded;
}
