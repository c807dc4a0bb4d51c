import * as tf from "@tensorflow/tfjs";

/** A picture's values as stored in its file, each in [0, 1], row by row. */
export interface Pixels {
  width: number;
  height: number;
  /** Three per pixel: red, green, blue. */
  colours: Float32Array;
  /** One per pixel: 0 is transparent, 1 opaque. Missing if every pixel is opaque. */
  alpha?: Float32Array;
}

/** The picture laid over white, [H, W, 3] in [0, 1]: 1 - alpha + alpha * colour. The caller owns the result. */
export function overWhite({ width, height, colours, alpha }: Pixels): tf.Tensor3D {
  const laid = alpha ? new Float32Array(colours.length) : colours;
  if (alpha) {
    for (let i = 0; i < colours.length; i++) {
      const opacity = alpha[Math.floor(i / 3)]!;
      laid[i] = 1 - opacity + opacity * colours[i]!;
    }
  }
  return tf.tensor3d(laid, [height, width, 3]);
}

/**
 * A mask [H, W, 1]: the opacity of a picture with transparent parts, and the lightness of an opaque picture (luma of
 * ITU-R BT.601, as in Pillow's conversion to grey). The caller owns the result.
 */
export function maskOf({ width, height, colours, alpha }: Pixels): tf.Tensor3D {
  const isOpaque = alpha?.every((opacity) => opacity === 1) ?? true;
  const luma = (i: number) => 0.299 * colours[3 * i]! + 0.587 * colours[3 * i + 1]! + 0.114 * colours[3 * i + 2]!;
  const values = isOpaque ? Float32Array.from({ length: width * height }, (_, i) => luma(i)) : alpha!;
  return tf.tensor3d(values, [height, width, 1]);
}

/** The opacity [H, W, 1], or undefined if every pixel is opaque. The caller owns the result. */
export function opacityOf({ width, height, alpha }: Pixels): tf.Tensor3D | undefined {
  const isOpaque = alpha?.every((opacity) => opacity === 1) ?? true;
  return isOpaque ? undefined : tf.tensor3d(alpha!, [height, width, 1]);
}

/** Pixels from bytes in the order red, green, blue, alpha. */
export function fromBytes(width: number, height: number, bytes: Uint8ClampedArray): Pixels {
  const pixels: Pixels = { width, height, colours: new Float32Array(width * height * 3) };
  const alpha = new Float32Array(width * height);
  for (let i = 0; i < width * height; i++) {
    for (let k = 0; k < 3; k++) pixels.colours[i * 3 + k] = bytes[i * 4 + k]! / 255;
    alpha[i] = bytes[i * 4 + 3]! / 255;
  }
  return alpha.every((opacity) => opacity === 1) ? pixels : { ...pixels, alpha };
}
