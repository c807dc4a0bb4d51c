import * as tf from "@tensorflow/tfjs";
import { requireResultSize } from "./picture-limits.js";

/** Layout of a sheet of pictures. */
export interface GridOptions {
  /** Pictures per row. Default: the sheet is as square as possible. */
  columns?: number;
  /** Pixels between pictures and around them, before scaling. Default 1. */
  gap?: number;
  /** Each pixel becomes a square of this side length. Default 1. */
  scale?: number;
  /** Grey value of the gaps, 0 to 1. Default 1, white. */
  background?: number;
}

/**
 * Pictures [B, H, W, C] side by side as one, [rows, columns, C]; the caller owns the result.
 *
 * @throws RangeError also for more than 2^26 pixels
 */
export function imageGrid(images: tf.Tensor4D, options: GridOptions = {}): tf.Tensor3D {
  const [count, pictureHeight, pictureWidth, channels] = images.shape;
  if (count === 0) throw new RangeError("imageGrid: there is no picture; the tensor's first axis is 0.");
  const { columns = Math.ceil(Math.sqrt(count)), gap = 1, scale = 1, background = 1 } = options;
  for (const [name, value, least] of [
    ["columns", columns, 1],
    ["gap", gap, 0],
    ["scale", scale, 1],
  ] as const) {
    if (!Number.isInteger(value) || value < least)
      throw new RangeError(`imageGrid: ${name} is ${value}; it must be a whole number, ${least} or more.`);
  }
  const rows = Math.ceil(count / columns);
  const side = (pictures: number, size: number) => (pictures * (size + gap) + gap) * scale;
  requireResultSize("imageGrid", side(rows, pictureHeight), side(columns, pictureWidth));
  return tf.tidy(() => {
    const framed = tf.pad4d(
      images,
      [
        [0, rows * columns - count],
        [0, gap],
        [0, gap],
        [0, 0],
      ],
      background,
    );
    const [, height, width] = framed.shape;
    const sheet = framed
      .reshape([rows, columns, height, width, channels])
      .transpose([0, 2, 1, 3, 4])
      .reshape<tf.Tensor3D>([rows * height, columns * width, channels]);
    const whole = tf.pad3d(
      sheet,
      [
        [gap, 0],
        [gap, 0],
        [0, 0],
      ],
      background,
    );
    return scale === 1
      ? whole
      : tf.image.resizeNearestNeighbor(whole, [whole.shape[0] * scale, whole.shape[1] * scale]);
  });
}
