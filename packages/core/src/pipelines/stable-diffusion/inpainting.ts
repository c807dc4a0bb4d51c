import * as tf from "@tensorflow/tfjs";
import { requireResultSize } from "../../image/picture-limits.js";

/**
 * A mask [B, H, W, 1] of 0 (keep) and 1 (repaint, values of 0.5 and more) from values in [0, 1]. The caller owns it.
 */
export function binaryMask(mask: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => mask.greaterEqual(0.5).toFloat() as tf.Tensor4D);
}

/**
 * The mask of the latents, [B, H / factor, W / factor, 1]: the value of each square's first pixel, as the published
 * models were trained with.
 */
export function latentMask(mask: tf.Tensor4D, factor: number): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, height, width] = mask.shape;
    const squares = mask.reshape([batch * (height / factor), factor, width / factor, factor]);
    return squares
      .slice([0, 0, 0, 0], [-1, 1, -1, 1])
      .reshape<tf.Tensor4D>([batch, height / factor, width / factor, 1]);
  });
}

/**
 * `painted` where the mask is 1, `kept` where it is 0, a mixture in between. Shapes broadcast; the caller owns the
 * result.
 */
export function blend(kept: tf.Tensor4D, painted: tf.Tensor4D, mask: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => kept.mul(tf.sub(1, mask)).add(painted.mul(mask)));
}

/**
 * The picture with only its masked region changed; outside the mask it stays exactly the same. `blur` hides the seam:
 * in a band of about that many pixels inside the mask, the old picture fades into the new one.
 *
 * kept, painted [B, H, W, 3], mask [B, H, W, 1] of 0 and 1; the caller owns the result
 */
export function pasteBack(kept: tf.Tensor4D, painted: tf.Tensor4D, mask: tf.Tensor4D, blur = 0): tf.Tensor4D {
  return tf.tidy(() => {
    const soft = blur === 0 ? mask : softInside(mask, blur);
    return tf.where(mask.tile([1, 1, 1, 3]).greater(0), blend(kept, painted, soft), kept);
  });
}

/**
 * A mask that rises from 0 at its border to 1 at `blur` pixels inside. It is shrunk by half of `blur`, then averaged
 * over squares.
 */
function softInside(mask: tf.Tensor4D, blur: number): tf.Tensor4D {
  const reach = Math.ceil(blur / 2);
  const size = 2 * reach + 1;
  const border: [number, number][] = [
    [0, 0],
    [reach, reach],
    [reach, reach],
    [0, 0],
  ];
  const padded = (x: tf.Tensor4D) => x.mirrorPad<tf.Tensor4D>(border, "symmetric");
  const shrunk = tf.sub<tf.Tensor4D>(1, tf.maxPool(padded(tf.sub(1, mask)), size, 1, "valid"));
  return tf.avgPool(padded(shrunk), size, 1, "valid").mul(mask);
}

/** How far to grow a picture on each side, in pixels. */
export interface Borders {
  top?: number;
  right?: number;
  bottom?: number;
  left?: number;
}

/**
 * A larger canvas around pictures [B, H, W, 3] or [H, W, 3] in [0, 1], to be filled by inpainting: the borders repeat
 * the picture's edge, and the mask is 1 there. The caller owns both.
 *
 * @throws RangeError unless the borders are whole numbers of pixels, 0 or more, at least one of them above 0, and the
 *   canvas has at most 2^26 pixels
 */
export function outpaintCanvas(
  image: tf.Tensor4D | tf.Tensor3D,
  { top = 0, right = 0, bottom = 0, left = 0 }: Borders,
): { image: tf.Tensor4D; mask: tf.Tensor4D } {
  const borders = [top, right, bottom, left];
  if (!borders.every((n) => Number.isInteger(n) && n >= 0) || !borders.some((n) => n > 0)) {
    throw new RangeError(
      `outpaintCanvas: top ${top}, right ${right}, bottom ${bottom}, left ${left}; ` +
        "give whole numbers of pixels, 0 or more, and at least one above 0.",
    );
  }
  const [given, across] = image.shape.slice(-3) as [number, number];
  requireResultSize("outpaintCanvas", top + given + bottom, left + across + right);
  return tf.tidy(() => {
    const pictures = image.rank === 3 ? image.expandDims<tf.Tensor4D>(0) : (image as tf.Tensor4D);
    const [batch, height, width] = pictures.shape;
    const rows = clampedIndices(height, top, bottom);
    const columns = clampedIndices(width, left, right);
    const grown = tf.gather(tf.gather(pictures, rows, 1), columns, 2);
    const kept = tf.zeros<tf.Rank.R4>([batch, height, width, 1]);
    const mask = kept.pad<tf.Tensor4D>(
      [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ],
      1,
    );
    return { image: grown, mask };
  });
}

function clampedIndices(size: number, before: number, after: number): tf.Tensor1D {
  const indices = Array.from({ length: before + size + after }, (_, i) => Math.min(Math.max(i - before, 0), size - 1));
  return tf.tensor1d(indices, "int32");
}
