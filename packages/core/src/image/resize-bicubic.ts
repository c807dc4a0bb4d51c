import * as tf from "@tensorflow/tfjs";

/** How {@link resizeBicubic} rounds. */
export interface ResizeOptions {
  /**
   * Round as Pillow does for 8-bit pictures: values in [0, 1] to multiples of 1 / 255 after each direction, weights to
   * multiples of 2^-22. Default false.
   */
  eightBit?: boolean;
}

/**
 * Bicubic resizing (Keys 1981, a = -1/2) as Pillow and PyTorch (`antialias=True`) do it: to make a picture smaller, the
 * kernel is stretched, so that each new pixel averages all the pixels it covers. At the border the weights of the
 * pixels inside are normalised to sum to 1.
 *
 * images [B, H, W, C] -> [B, height, width, C]; the caller owns the result
 */
export function resizeBicubic(
  images: tf.Tensor4D,
  height: number,
  width: number,
  { eightBit = false }: ResizeOptions = {},
): tf.Tensor4D {
  const rounded = (x: tf.Tensor) => (eightBit ? x.add(0.5).floor().clipByValue(0, 255) : x);
  const levels = eightBit ? 255 : 1;
  const precision = eightBit ? 2 ** 22 : undefined;
  return tf.tidy(() => {
    const [batch, rows, columns, channels] = images.shape;
    const lines = rounded(images.mul(levels)).reshape<tf.Tensor3D>([batch * rows, columns, channels]);
    const wide = rounded(tf.matMul(weights(columns, width, precision), lines)).reshape([batch, rows, width * channels]);
    const tall = rounded(tf.matMul(weights(rows, height, precision), wide));
    return tall.div(levels).reshape<tf.Tensor4D>([batch, height, width, channels]);
  });
}

/**
 * The weight of each old pixel in each new one, [1, to, from]; rounded to multiples of 1 / `precision`, if it is given.
 */
function weights(from: number, to: number, precision?: number): tf.Tensor3D {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = 2 * stretch;
  const table = Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), from);
    const row = Array.from({ length: from }, (_, j) =>
      j < first || j >= end ? 0 : cubic((j + 0.5 - centre) / stretch),
    );
    const sum = row.reduce((a, b) => a + b);
    const exact = row.map((weight) => weight / sum);
    return precision === undefined ? exact : exact.map((weight) => Math.round(weight * precision) / precision);
  });
  return tf.tensor3d([table]);
}

function cubic(x: number): number {
  const d = Math.abs(x);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}
