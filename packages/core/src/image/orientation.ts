import type { Pixels } from "./pixels.js";

/**
 * The EXIF orientation (tag 0x0112): 1 upright, 2 mirrored, 3 upside down, 4 both, 5 to 8 the same with rows and
 * columns exchanged.
 */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const TAG = 0x0112;
const HEAD = "Exif\0\0";

/** The orientation in a picture's EXIF data, which is a small TIFF file (EXIF 2.32, 4.6.2); 1 if it holds none. */
export function exifOrientation(exif: Uint8Array): Orientation {
  const tiff = startsWith(exif, HEAD) ? exif.subarray(HEAD.length) : exif;
  const isLittle = startsWith(tiff, "II*\0");
  if (tiff.length < 8 || !(isLittle || startsWith(tiff, "MM\0*"))) return 1;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const directory = view.getUint32(4, isLittle);
  if (directory + 2 > tiff.length) return 1;
  const count = view.getUint16(directory, isLittle);
  for (let at = directory + 2; at < directory + 2 + count * 12 && at + 12 <= tiff.length; at += 12) {
    if (view.getUint16(at, isLittle) !== TAG) continue;
    const value = view.getUint16(at + 8, isLittle);
    return value >= 1 && value <= 8 ? (value as Orientation) : 1;
  }
  return 1;
}

/** Whether bytes begin with these letters. */
export function startsWith(bytes: Uint8Array, letters: string): boolean {
  return [...letters].every((letter, i) => bytes[i] === letter.charCodeAt(0));
}

/** Turns a picture upright. */
export function upright(pixels: Pixels, orientation: Orientation): Pixels {
  if (orientation === 1) return pixels;
  const { width, height, colours, alpha } = pixels;
  const isTurned = orientation >= 5;
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  const seen: Pixels = {
    width: isTurned ? height : width,
    height: isTurned ? width : height,
    colours: new Float32Array(colours.length),
  };
  if (alpha) seen.alpha = new Float32Array(alpha.length);
  for (let y = 0, to = 0; y < seen.height; y++) {
    for (let x = 0; x < seen.width; x++, to++) {
      const [column, row] = isTurned ? [y, x] : [x, y];
      const from = (fromBottom ? height - 1 - row : row) * width + (fromRight ? width - 1 - column : column);
      for (let k = 0; k < 3; k++) seen.colours[to * 3 + k] = colours[from * 3 + k]!;
      if (alpha) seen.alpha![to] = alpha[from]!;
    }
  }
  return seen;
}
