import * as tf from "@tensorflow/tfjs";
import { fusedOp } from "./fused-op.js";
import { torchDefault } from "./initializers.js";
import { affine } from "./linear.js";
import { type Initializer, Parameter } from "./parameter.js";

/** A convolution's geometry and first values. Default: kernel 3, stride 1, with a bias, PyTorch's initialisation. */
export interface Conv2dOptions {
  kernel?: number;
  stride?: number;
  /** Zeros added on each side of height and width, or [before, after]. Default: keeps the size at stride 1. */
  padding?: number | [before: number, after: number];
  bias?: boolean;
  weightInit?: Initializer;
  biasInit?: Initializer;
}

/**
 * A 2D convolution with a square kernel, padded as PyTorch does: TensorFlow's "same" pads a strided
 * convolution on the right and bottom only, which shifts the picture by half a pixel a level.
 *
 * forward: [B, H, W, inChannels] -> [B, H', W', outChannels].
 */
export class Conv2d {
  readonly weight: Parameter;
  readonly bias?: Parameter;
  readonly #stride: number;
  readonly #padding: [before: number, after: number];
  readonly #kernel: number;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    { kernel = 3, stride = 1, padding = (kernel - 1) >> 1, bias = true, weightInit, biasInit }: Conv2dOptions = {},
  ) {
    const standard = torchDefault(inChannels * kernel * kernel);
    this.weight = new Parameter([kernel, kernel, inChannels, outChannels], weightInit ?? standard, "conv2d");
    if (bias) this.bias = new Parameter([outChannels], biasInit ?? standard);
    this.#kernel = kernel;
    this.#stride = stride;
    this.#padding = typeof padding === "number" ? [padding, padding] : padding;
  }

  /** [B, H, W, in] -> [B, H', W', out]; H' = floor((H + padding - kernel) / stride) + 1, W' likewise. */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    if (this.#isPointwise) return this.#multiply(x);
    const [before, after] = this.#padding;
    const inputs = { x, filter: this.weight.value, ...(this.bias && { bias: this.bias.value }) };
    const attributes = { stride: this.#stride, before, after };
    return fusedOp("Conv2D", inputs, attributes, () => this.plain(x)) as tf.Tensor4D;
  }

  /** What the fused kernel computes. */
  plain(x: tf.Tensor4D): tf.Tensor4D {
    const y = this.#convolve(x);
    return this.bias ? y.add(this.bias.value) : y;
  }

  get #isPointwise(): boolean {
    return this.#kernel === 1 && this.#stride === 1 && this.#padding[0] + this.#padding[1] === 0;
  }

  /** A 1x1 convolution is a matrix product over pixels, and faster as one. */
  #multiply(x: tf.Tensor4D): tf.Tensor4D {
    const weight = this.weight.value.reshape([this.inChannels, this.outChannels]);
    return affine(x, weight, this.bias?.value) as tf.Tensor4D;
  }

  #convolve(x: tf.Tensor4D): tf.Tensor4D {
    const [before, after] = this.#padding;
    const filter = this.weight.value as unknown as tf.Tensor4D;
    const keepsSize = this.#stride === 1 && before === after && before * 2 + 1 === this.#kernel;
    if (keepsSize) return tf.conv2d(x, filter, 1, "same");
    // Not the convolution's own explicit padding: tfjs-node has no gradient for it.
    const padded =
      before + after === 0
        ? x
        : tf.pad(x, [
            [0, 0],
            [before, after],
            [before, after],
            [0, 0],
          ]);
    return tf.conv2d(padded, filter, this.#stride, "valid");
  }
}
