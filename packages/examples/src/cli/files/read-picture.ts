import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { decodeImage, decodeMask, ImageError, outpaintCanvas } from "@tfjs-diffusion/core";
import { type Borders } from "@tfjs-diffusion/core/pipelines";
import { fromCaller } from "../options/from-caller.js";
import { modelFrom } from "../options/model-from.js";
import type { PictureArguments } from "../options/picture-arguments.js";
import type { TableValues } from "../options/table-options.js";
import { shippedFolder } from "../options/shipped.js";

/** The requested size, if any. */
export type Size = Pick<TableValues, "width" | "height">;

/**
 * Reads a PNG, JPEG or WebP file, scaled to the requested width and height: [H, W, 3] in [0, 1]. The caller owns it.
 *
 * @throws ImageError if it cannot be read
 */
export async function readPicture(path: string, size: Size): Promise<tf.Tensor3D> {
  const picture = await decoded(path, decodeImage);
  return scaled(picture, size, (x, to) => tf.image.resizeBilinear(x, to, false, true));
}

/** Decodes a file. Checks first that it is a regular file: reading a pipe or a device might never end. */
async function decoded(path: string, decode: typeof decodeImage): Promise<tf.Tensor3D> {
  const file = fromCaller(path);
  try {
    if (!(await stat(file)).isFile()) throw new Error("it is not a file");
    return await decode(await readFile(file));
  } catch (error) {
    const { message } = error as Error;
    throw new ImageError(error instanceof ImageError ? `${path}: ${message}` : `${path} cannot be read (${message}).`, {
      cause: error,
    });
  }
}

/** The size of the portraits, in pixels, and the factor that sizes must be multiples of for their autoencoder. */
const PORTRAIT = { side: 32, multiple: 4 };

/**
 * The size that the initial picture is scaled to: the requested size, or the size that the portraits were trained on.
 * With --padding-mask-crop the picture keeps its size, and the requested size is that of the part that is drawn.
 */
async function sizeFor({ model, image, options }: PictureArguments): Promise<Size> {
  if (options.paddingMaskCrop !== undefined) return {};
  const { width, height } = options;
  const isPortraits = resolve(modelFrom(model)) === shippedFolder("portraits");
  if (image === undefined || !isPortraits || width !== undefined || height !== undefined) return { width, height };
  const picture = await readPicture(image, {});
  const [pictureHeight, pictureWidth] = picture.shape;
  picture.dispose();
  const { side, multiple } = PORTRAIT;
  const scaled = (pixels: number) =>
    Math.max(side, Math.round((pixels * side) / Math.min(pictureHeight, pictureWidth) / multiple) * multiple);
  return { height: scaled(pictureHeight), width: scaled(pictureWidth) };
}

/**
 * Reads a mask, [H, W, 1], scaled to its picture; see `decodeMask` for the part that is redrawn. The caller owns it.
 */
async function readMask(path: string, [height, width]: readonly number[]): Promise<tf.Tensor3D> {
  const mask = await decoded(path, decodeMask);
  return scaled(mask, { height, width }, (x, to) => tf.image.resizeNearestNeighbor(x, to, false, true));
}

/** Takes the picture over. */
function scaled(
  picture: tf.Tensor3D,
  { width = picture.shape[1], height = picture.shape[0] }: Size,
  resize: (x: tf.Tensor3D, to: [number, number]) => tf.Tensor3D,
): tf.Tensor3D {
  if (height === picture.shape[0] && width === picture.shape[1]) return picture;
  const result = tf.tidy(() => resize(picture, [height, width]));
  picture.dispose();
  return result;
}

/** The picture and the mask that drawing starts from. */
export interface Canvas {
  image?: tf.Tensor3D | tf.Tensor4D;
  mask?: tf.Tensor3D | tf.Tensor4D;
}

/** Reads the picture and the mask that a command names, and extends them for --outpaint. The caller owns them. */
export async function readCanvas(args: PictureArguments): Promise<Canvas> {
  if (args.image === undefined) return {};
  const size = await sizeFor(args);
  const image = await readPicture(args.image, size);
  try {
    if (args.outpaint) return grown(image, args.outpaint);
    return args.mask === undefined ? { image } : { image, mask: await readMask(args.mask, image.shape) };
  } catch (error) {
    image.dispose();
    throw error;
  }
}

function grown(image: tf.Tensor3D, borders: Borders): Canvas {
  const canvas = outpaintCanvas(image, borders);
  image.dispose();
  return canvas;
}
