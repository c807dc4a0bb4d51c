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
 * A 2D convolution with a square kernel, padded as PyTorch does: TensorFlow's "same" pads a strided convolution on the
 * right and bottom only, which shifts the picture by half a pixel at each level.
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

  /** [B, H, W, in] -> [B, H', W', out]; H' = floor((H + padding - kernel) / stride) + 1, and W' in the same way. */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    const [weight, bias] = [this.weight.value, this.bias?.value];
    // A 1x1 convolution is a matrix product over pixels, which is faster.
    if (this.#isPointwise) return affine(x, weight.reshape(this.weight.shape.slice(2)), bias) as tf.Tensor4D;
    return conv2d(x, weight as unknown as tf.Tensor4D, bias, this.#stride, this.#padding);
  }

  get #isPointwise(): boolean {
    return this.#kernel === 1 && this.#stride === 1 && this.#padding[0] + this.#padding[1] === 0;
  }
}

/** x [B, H, W, in], filter [k, k, in, out], bias [out]; zeros before and after height and width -> [B, H', W', out]. */
export function conv2d(
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  bias: tf.Tensor | undefined,
  stride: number,
  padding: [before: number, after: number],
): tf.Tensor4D {
  const plain = () => {
    const y = convolve(x, filter, stride, padding);
    return bias ? y.add(bias) : y;
  };
  const [before, after] = padding;
  return fusedOp("Conv2D", { x, filter, ...(bias && { bias }) }, { stride, before, after }, plain) as tf.Tensor4D;
}

function convolve(x: tf.Tensor4D, filter: tf.Tensor4D, stride: number, [before, after]: [number, number]): tf.Tensor4D {
  const keepsSize = stride === 1 && before === after && before * 2 + 1 === filter.shape[0];
  if (keepsSize) return tf.conv2d(x, filter, 1, "same");
  // The explicit padding of tf.conv2d has no gradient in tfjs-node.
  const padded =
    before + after === 0
      ? x
      : tf.pad(x, [
          [0, 0],
          [before, after],
          [before, after],
          [0, 0],
        ]);
  return tf.conv2d(padded, filter, stride, "valid");
}
