import * as tf from "@tensorflow/tfjs";

/** A picture's numbers as its file holds them, each in [0, 1], row by row. */
export interface Pixels {
  width: number;
  height: number;
  /** Three a pixel: red, green, blue. */
  colours: Float32Array;
  /** One a pixel: 0 is transparent, 1 opaque. Missing where every pixel is opaque. */
  alpha?: Float32Array;
}

/** The picture over white, [H, W, 3] in [0, 1]: 1 - alpha + alpha * colour. The caller owns it. */
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
