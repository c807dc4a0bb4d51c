import type * as tf from "@tensorflow/tfjs";
import { fileHeader } from "./file-header.js";
import { ImageError } from "./image-error.js";
import { type PictureLimits, requirePictureSize } from "./picture-limits.js";
import { maskOf, opacityOf, overWhite, type Pixels } from "./pixels.js";
import { isPng } from "./png/chunks.js";
import { pngPixels, pngSize } from "./png/decode-png.js";
import { unpackFile } from "./unpack-file.js";

const NOT_A_PICTURE = "this is not a readable PNG, JPEG or WebP file. Save it as one of them.";

/**
 * A PNG, JPEG or WebP file as [H, W, 3] in [0, 1], turned as its EXIF data says. Greys become colours, transparent
 * parts are laid over white, and the stored values are taken as sRGB. The caller owns the result.
 *
 * @throws ImageError if the file is of another kind, damaged, or larger than `maxPixels`
 */
export async function decodeImage(bytes: Uint8Array, limits: PictureLimits = {}): Promise<tf.Tensor3D> {
  return overWhite(await filePixels(bytes, limits));
}

/**
 * Decodes a mask: [H, W, 1] in [0, 1], with 1 where the picture is to be redrawn. If the file has transparent parts,
 * only its opacity is used, as in AUTOMATIC1111, so a mask can be painted on an empty layer in any colour. If it is
 * opaque, its lightness is used: white is redrawn, black is kept. Greys stay greys; pipelines redraw where the mask is
 * 0.5 or more. Use `tf.sub(1, mask)` to invert a mask. The caller owns the result.
 *
 * @throws ImageError
 */
export async function decodeMask(bytes: Uint8Array, limits: PictureLimits = {}): Promise<tf.Tensor3D> {
  return maskOf(await filePixels(bytes, limits));
}

/**
 * The opacity of a picture's pixels, [H, W, 1] in [0, 1]; undefined if all of them are opaque. The caller owns the
 * result.
 *
 * @throws ImageError
 */
export async function decodeOpacity(bytes: Uint8Array, limits: PictureLimits = {}): Promise<tf.Tensor3D | undefined> {
  return opacityOf(await filePixels(bytes, limits));
}

/**
 * The size of the picture in a PNG, JPEG or WebP file, from its header. Nothing is decoded, so it is quick for pictures
 * of any size. EXIF data, which may turn the picture, is not read.
 *
 * @throws ImageError if the file is of another kind
 */
export function pictureSize(bytes: Uint8Array): { width: number; height: number } {
  if (isPng(bytes)) return pngSize(bytes);
  const header = fileHeader(bytes);
  if (!header) throw new ImageError(NOT_A_PICTURE);
  return { width: header.width, height: header.height };
}

async function filePixels(bytes: Uint8Array, limits: PictureLimits): Promise<Pixels> {
  if (isPng(bytes)) return pngPixels(bytes, limits);
  const header = fileHeader(bytes);
  if (!header) throw new ImageError(NOT_A_PICTURE);
  requirePictureSize(header.width, header.height, limits);
  return unpackFile(bytes, header);
}
