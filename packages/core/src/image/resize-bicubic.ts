import * as tf from "@tensorflow/tfjs";
import { requireResultSize } from "./picture-limits.js";
import { isColumnsFirst } from "./resize-as-pillow.js";
import { CUBIC, resampleWeights } from "./resample-weights.js";

/** How {@link resizeBicubic} rounds. */
export interface ResizeOptions {
  /**
   * Round as Pillow does for 8-bit pictures: values in [0, 1] to multiples of 1 / 255 after each direction, in
   * Pillow's order of directions, weights to multiples of 2^-22. Default false.
   */
  eightBit?: boolean;
}

/**
 * Bicubic resizing (Keys 1981, a = -1/2) as Pillow and PyTorch (`antialias=True`) do it: see `resampleWeights`.
 *
 * images [B, H, W, C] -> [B, height, width, C]; the caller owns the result
 *
 * @throws RangeError for more than 2^26 pixels
 */
export function resizeBicubic(
  images: tf.Tensor4D,
  height: number,
  width: number,
  { eightBit = false }: ResizeOptions = {},
): tf.Tensor4D {
  requireResultSize("resizeBicubic", height, width);
  const rounded = (x: tf.Tensor) => (eightBit ? x.add(0.5).floor().clipByValue(0, 255) : x);
  const levels = eightBit ? 255 : 1;
  const precision = eightBit ? 2 ** 22 : undefined;
  return tf.tidy(() => {
    const [batch, rows, columns, channels] = images.shape;
    const widened = (x: tf.Tensor, lines: number) => {
      const lined = x.reshape<tf.Tensor3D>([batch * lines, columns, channels]);
      return rounded(tf.matMul(weights(columns, width, precision), lined));
    };
    const heightened = (x: tf.Tensor, places: number) => {
      const whole = x.reshape<tf.Tensor3D>([batch, rows, places * channels]);
      return rounded(tf.matMul(weights(rows, height, precision), whole));
    };
    const x = rounded(images.mul(levels));
    const resized =
      eightBit && isColumnsFirst([columns, rows], [width, height])
        ? widened(heightened(x, columns), height)
        : heightened(widened(x, rows), width);
    return resized.div(levels).reshape<tf.Tensor4D>([batch, height, width, channels]);
  });
}

/**
 * The weight of each old pixel in each new one, [1, to, from]; rounded to multiples of 1 / `precision`, if it is given.
 */
function weights(from: number, to: number, precision?: number): tf.Tensor3D {
  const table = resampleWeights(from, to, CUBIC).map(({ first, weights }) => {
    const row = Array<number>(from).fill(0);
    weights.forEach((weight, j) => {
      row[first + j] = precision === undefined ? weight : Math.round(weight * precision) / precision;
    });
    return row;
  });
  return tf.tensor3d([table]);
}
