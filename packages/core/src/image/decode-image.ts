import type * as tf from "@tensorflow/tfjs";
import { fileFacts } from "./file-facts.js";
import { ImageError } from "./image-error.js";
import { type PictureLimits, requirePictureSize } from "./picture-limits.js";
import { maskOf, overWhite, type Pixels } from "./pixels.js";
import { isPng } from "./png/chunks.js";
import { pngPixels } from "./png/decode-png.js";
import { unpackFile } from "./unpack-file.js";

/**
 * A PNG, JPEG or WebP file as [H, W, 3] in [0, 1], turned as its EXIF data says. Greys become colours, transparent
 * parts are laid over white, and colours are taken as sRGB, as they are stored. The caller owns it.
 *
 * @throws ImageError for other files, damaged ones, and those larger than `maxPixels`
 */
export async function decodeImage(bytes: Uint8Array, limits: PictureLimits = {}): Promise<tf.Tensor3D> {
  return overWhite(await filePixels(bytes, limits));
}

/**
 * The same for a mask: [H, W, 1] in [0, 1], 1 where the picture is to be drawn anew. A mask with transparent parts is
 * read by its opacity alone, as in AUTOMATIC1111: what was painted onto an empty layer counts, in any colour. In an
 * opaque mask the lightness counts: white is drawn anew, black is kept. Greys stay greys; pipelines draw anew from one
 * half on. For the inverse give `tf.sub(1, mask)`. The caller owns it.
 *
 * @throws ImageError
 */
export async function decodeMask(bytes: Uint8Array, limits: PictureLimits = {}): Promise<tf.Tensor3D> {
  return maskOf(await filePixels(bytes, limits));
}

async function filePixels(bytes: Uint8Array, limits: PictureLimits): Promise<Pixels> {
  if (isPng(bytes)) return pngPixels(bytes, limits);
  const facts = fileFacts(bytes);
  if (!facts) throw new ImageError("this is not a readable PNG, JPEG or WebP file. Save it as one of them.");
  requirePictureSize(facts.width, facts.height, limits);
  return unpackFile(bytes, facts);
}
