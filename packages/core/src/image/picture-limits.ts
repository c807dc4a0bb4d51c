import { ImageError } from "./image-error.js";

/** How large a picture may be. */
export interface PictureLimits {
  /**
   * The largest number of pixels, width times height. A file whose header says more is refused before it is unpacked.
   * Default 2^26, which is 8192 x 8192: a decoded pixel takes 12 bytes, so this is 0.8 GB.
   */
  maxPixels?: number;
}

const MAX_PIXELS = 2 ** 26;

/**
 * @throws ImageError for a picture without pixels, or with more than `maxPixels`; RangeError if the limit is not a
 *   number above 0
 */
export function requirePictureSize(width: number, height: number, { maxPixels = MAX_PIXELS }: PictureLimits): void {
  if (!(maxPixels > 0)) throw new RangeError(`maxPixels is ${maxPixels}; expected a number of pixels above 0.`);
  if (width === 0 || height === 0) throw new ImageError(`The picture is ${width} x ${height}: it has no pixels.`);
  if (width * height > maxPixels) {
    throw new ImageError(
      `The picture is ${width} x ${height}, ${width * height} pixels; at most ${maxPixels} are decoded. ` +
        "Make it smaller, or raise maxPixels if you trust the file and have the memory.",
    );
  }
}

/**
 * @param what the function that makes a picture of this size
 * @throws RangeError for more than 2^26 pixels
 */
export function requireResultSize(what: string, height: number, width: number): void {
  if (height * width <= MAX_PIXELS) return;
  throw new RangeError(`${what}: ${width} x ${height} pixels; at most ${MAX_PIXELS} are made. Give smaller numbers.`);
}
