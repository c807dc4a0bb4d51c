import * as tf from "@tensorflow/tfjs";
import { Conv2d } from "./conv2d.js";

/** Repeats pixels so that the result has `height` x `width`. [B, H, W, C] -> [B, height, width, C]. */
export function nearestResize(x: tf.Tensor4D, height = 2 * x.shape[1], width = 2 * x.shape[2]): tf.Tensor4D {
  return tf.image.resizeNearestNeighbor(x, [height, width]);
}

/** Halves height and width with a strided convolution; odd sizes are rounded up. */
export class Downsample2D {
  readonly conv: Conv2d;

  /** `padding` 0 is not "no padding": it pads one zero to the right and bottom, as the autoencoder and DDPM do. */
  constructor(channels: number, padding = 1) {
    this.conv = new Conv2d(channels, channels, { stride: 2, padding: padding === 0 ? [0, 1] : padding });
  }

  /** [B, H, W, C] -> [B, ceil(H / 2), ceil(W / 2), C]; the caller owns the result. */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return this.conv.forward(x);
  }
}

/** Repeats pixels to double height and width, or to reach a given size; then a convolution. */
export class Upsample2D {
  readonly conv: Conv2d;

  constructor(channels: number) {
    this.conv = new Conv2d(channels, channels);
  }

  /**
   * [B, H, W, C] -> [B, h, w, C]; the caller owns the result. `size` [h, w], default [2 H, 2 W], is the size of
   * the features that it is joined with; it can be odd, since the way down rounds up.
   */
  forward(x: tf.Tensor4D, _time?: tf.Tensor2D, size?: [number, number]): tf.Tensor4D {
    return this.conv.forward(nearestResize(x, size?.[0], size?.[1]));
  }
}
