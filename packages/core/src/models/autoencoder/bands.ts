import * as tf from "@tensorflow/tfjs";
import { activation, type ActivationName } from "../../nn/activations.js";
import type { Conv2d } from "../../nn/conv2d.js";
import type { GroupNorm } from "../../nn/group-norm.js";
import { nearestResize } from "../../nn/resample.js";
import type { ResnetBlock2D } from "../../nn/resnet-block.js";

/** A layer that changes the resolution by a convolution. */
interface ConvolvingResampler {
  conv?: Conv2d;
}

/**
 * Feature maps cut into horizontal bands, so that layers run on pictures whose whole feature maps would be too large
 * for one tensor. Every layer gives the same result as on the whole picture: a convolution reads the rows next to its
 * band, and a normalisation uses the statistics of all bands. Each layer's result replaces the bands one by one, so
 * that little more than one feature map exists (two in a residual block). No gradients.
 */
export class Bands {
  #bands: tf.Tensor4D[];

  private constructor(bands: tf.Tensor4D[]) {
    this.#bands = bands;
  }

  /** Borrows x [B, H, W, C]. Bands have `rows` rows; the last one has the rest. */
  static split(x: tf.Tensor4D, rows: number): Bands {
    const height = x.shape[1];
    const sizes = Array.from({ length: Math.ceil(height / rows) }, (_, i) => Math.min(rows, height - i * rows));
    return new Bands(tf.split(x, sizes, 1));
  }

  /** Joins the bands and frees them. */
  join(): tf.Tensor4D {
    const whole = tf.concat(this.#bands, 1);
    tf.dispose(this.#bands);
    return whole;
  }

  /** A 3x3 convolution of stride 1. */
  convolve(conv: Conv2d): void {
    this.#replace((band, i) => {
      const above = this.#bands[i - 1];
      const below = this.#bands[i + 1];
      const rows = [above && lastRow(above), band, below && firstRow(below)].filter((part) => part !== undefined);
      const [batch, height, width] = band.shape;
      // At the picture's edges the convolution's padding is correct; at a cut, the rows that used padding are removed.
      return conv.forward(tf.concat(rows, 1)).slice([0, above ? 1 : 0, 0, 0], [batch, height, width, conv.outChannels]);
    });
  }

  /**
   * A downsampling convolution of stride 2 that pads on the right and bottom; all bands but the last have an even
   * height.
   */
  downsample({ conv }: ConvolvingResampler): void {
    this.#appendLoneRow();
    this.#replace((band, i) => {
      const below = this.#bands[i + 1];
      return conv!.forward(below ? tf.concat([band, firstRow(below)], 1) : band);
    });
  }

  /**
   * The last row of an odd height has no second row, so it gives no row of the result. If it is alone in a band, it is
   * moved to the band above.
   */
  #appendLoneRow(): void {
    if (this.#bands.length === 1 || this.#bands.at(-1)!.shape[1] > 1) return;
    const lastTwo = this.#bands.splice(-2);
    this.#bands.push(tf.concat(lastTwo, 1));
    tf.dispose(lastTwo);
  }

  upsample({ conv }: ConvolvingResampler): void {
    this.#replace((band) => nearestResize(band));
    this.convolve(conv!);
  }

  normalise(norm: GroupNorm, act: ActivationName): void {
    const statistics = norm.statistics(this.#bands);
    this.#replace((band) => activation(act)(norm.apply(band, statistics)));
    tf.dispose(Object.values(statistics));
  }

  resnet(block: ResnetBlock2D, act: ActivationName): void {
    const shortcut = block.conv_shortcut;
    const input = this.#bands.map((band) => (shortcut ? shortcut.forward(band) : band.clone()));
    this.normalise(block.norm1, act);
    this.convolve(block.conv1);
    this.normalise(block.norm2, act);
    this.convolve(block.conv2);
    this.#replace((band, i) => band.add(input[i]!));
    tf.dispose(input);
  }

  /**
   * Replaces every band by `f` of it, which may read the band's neighbours. Each old band is freed as soon as its
   * neighbours are done.
   */
  #replace(f: (band: tf.Tensor4D, i: number) => tf.Tensor4D): void {
    const fresh = this.#bands.map((band, i) => {
      const made = tf.tidy(() => f(band, i));
      this.#bands[i - 1]?.dispose();
      return made;
    });
    this.#bands.at(-1)!.dispose();
    this.#bands = fresh;
  }
}

function firstRow(band: tf.Tensor4D): tf.Tensor4D {
  return band.slice([0, 0, 0, 0], [-1, 1, -1, -1]);
}

function lastRow(band: tf.Tensor4D): tf.Tensor4D {
  return band.slice([0, band.shape[1] - 1, 0, 0], [-1, 1, -1, -1]);
}
