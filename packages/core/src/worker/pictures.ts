import type * as tf from "@tensorflow/tfjs";
import { toBytes } from "../image/byte-picture.js";
import { fromBytes, maskOf, overWhite } from "../image/pixels.js";

/** Four bytes for each pixel, row by row: red, green, blue, opacity. An `ImageData` is one. */
export interface WorkerPicture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** The numbers of a tensor, row by row. */
export interface WorkerArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Pictures [B, H, W, 3] in [0, 1] as messages; does not dispose of them. */
export async function picturesOf(images: tf.Tensor4D): Promise<WorkerPicture[]> {
  return (await toBytes(images)).map(({ width, height, data }) => {
    const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
    for (let i = 0; i < width * height; i++) pixels.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
    return { width, height, data: pixels };
  });
}

/** The numbers of a tensor as a message. */
export async function arrayOf(x: tf.Tensor): Promise<WorkerArray> {
  return { shape: x.shape, data: Float32Array.from(await x.data()) };
}

/** A picture over white, [H, W, 3] in [0, 1]; the caller owns it. */
export function imageOf({ width, height, data }: WorkerPicture): tf.Tensor3D {
  return overWhite(fromBytes(width, height, data));
}

/** A mask as `decodeMask` reads it: opacity, or the lightness of an opaque picture, [H, W, 1]; the caller owns it. */
export function maskTensorOf({ width, height, data }: WorkerPicture): tf.Tensor3D {
  return maskOf(fromBytes(width, height, data));
}
