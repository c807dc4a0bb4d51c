import * as tf from "@tensorflow/tfjs";
import { type Activation, silu } from "./activations.js";
import { Conv2d } from "./conv2d.js";
import { GroupNorm } from "./group-norm.js";
import { Linear } from "./linear.js";
import { nearestResize } from "./resample.js";

/** How a {@link ResnetBlock2D} differs from the plain one. */
export interface ResnetBlockOptions {
  groups: number;
  eps: number;
  /** Width of the time embedding; null for a block without one (the autoencoder's). */
  timeChannels?: number | null;
  /** "default" adds the time embedding; "scale_shift" multiplies and adds (Dhariwal & Nichol 2021, AdaGN). */
  timeScaleShift?: "default" | "scale_shift";
  act?: Activation;
  /** Halve or double height and width inside the block. */
  resample?: "down" | "up";
  /** The result is divided by it. */
  outputScale?: number;
}

/**
 * Residual block: x + conv(act(norm(conv(act(norm(x))) + time))).
 *
 * forward: x [B, H, W, inChannels], time [B or 1, timeChannels] **already activated**: it is the same for every
 * block of a network, so the network does it once -> [B, H', W', outChannels].
 */
export class ResnetBlock2D {
  readonly norm1: GroupNorm;
  readonly conv1: Conv2d;
  readonly time_emb_proj?: Linear;
  readonly norm2: GroupNorm;
  readonly conv2: Conv2d;
  readonly conv_shortcut?: Conv2d;
  readonly #options: Required<Pick<ResnetBlockOptions, "timeScaleShift" | "act" | "outputScale">> & ResnetBlockOptions;

  constructor(inChannels: number, outChannels: number, options: ResnetBlockOptions) {
    this.#options = { timeScaleShift: "default", act: silu, outputScale: 1, ...options };
    const { groups, eps, timeChannels, timeScaleShift } = this.#options;
    this.norm1 = new GroupNorm(groups, inChannels, eps);
    this.conv1 = new Conv2d(inChannels, outChannels);
    if (timeChannels) {
      this.time_emb_proj = new Linear(timeChannels, timeScaleShift === "default" ? outChannels : 2 * outChannels);
    }
    this.norm2 = new GroupNorm(groups, outChannels, eps);
    this.conv2 = new Conv2d(outChannels, outChannels);
    if (inChannels !== outChannels) this.conv_shortcut = new Conv2d(inChannels, outChannels, { kernel: 1 });
  }

  /** Borrows its arguments; the caller owns the result. */
  forward(x: tf.Tensor4D, time?: tf.Tensor2D, size?: [number, number]): tf.Tensor4D {
    const { act, outputScale } = this.#options;
    return tf.tidy(() => {
      const input = this.#resample(x, size);
      let h = this.conv1.forward(this.#resample(this.norm1.forward(x, act), size));
      h = this.conv2.forward(this.#normWithTime(h, time));
      const y = (this.conv_shortcut ? this.conv_shortcut.forward(input) : input).add<tf.Tensor4D>(h);
      return outputScale === 1 ? y : y.mul(1 / outputScale);
    });
  }

  #normWithTime(h: tf.Tensor4D, time?: tf.Tensor2D): tf.Tensor4D {
    const { act, timeScaleShift } = this.#options;
    if (!this.time_emb_proj || !time) return this.norm2.forward(h, act);
    const projected = this.time_emb_proj.forward(time).expandDims(1).expandDims<tf.Tensor4D>(1);
    if (timeScaleShift === "default") return this.norm2.forward(h.add(projected), act);
    const [scale, shift] = tf.split(projected, 2, -1) as [tf.Tensor4D, tf.Tensor4D];
    return act(this.norm2.forward(h).mul(scale.add(1)).add(shift));
  }

  #resample(x: tf.Tensor4D, size?: [number, number]): tf.Tensor4D {
    if (this.#options.resample === "down") return tf.avgPool(x, 2, 2, "valid");
    if (this.#options.resample === "up") return nearestResize(x, size?.[0], size?.[1]);
    return x;
  }
}
