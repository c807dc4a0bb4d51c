import * as tf from "@tensorflow/tfjs";
import { Conv2d } from "../../nn/conv2d.js";
import { requireTensor } from "../checks.js";
import { count, layers, listOf, oneOf, type SchemaOf } from "../../weights/config-schema.js";
import { resolveConfig } from "../config.js";
import type { ExampleNoise, ExamplePass } from "../example-pass.js";
import { Model } from "../model.js";

const NAME = "T2IAdapter";

/** `config.json` of a T2IAdapter, as diffusers writes it. */
export interface T2IAdapterConfig {
  _class_name: "T2IAdapter";
  in_channels: number;
  /** Widths of the levels, those of the UNet, from the finest. */
  channels: number[];
  /** Residual blocks of each level. */
  num_res_blocks: number;
  /** Pixels that become channels, along each side. */
  downscale_factor: number;
  adapter_type: "full_adapter" | "full_adapter_xl" | "light_adapter";
}

const SCHEMA: SchemaOf<T2IAdapterConfig> = {
  _class_name: oneOf(NAME, [NAME]),
  in_channels: count(3),
  channels: listOf(count([320, 640, 1280, 1280])),
  num_res_blocks: layers(2),
  downscale_factor: count(8, 1, 64),
  adapter_type: oneOf("full_adapter", ["full_adapter", "full_adapter_xl", "light_adapter"]),
};

class AdapterResnetBlock {
  readonly block1: Conv2d;
  readonly block2: Conv2d;

  constructor(channels: number, secondKernel: 1 | 3) {
    this.block1 = new Conv2d(channels, channels);
    this.block2 = new Conv2d(channels, channels, { kernel: secondKernel });
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return this.block2.forward(tf.relu(this.block1.forward(x))).add(x);
  }
}

/** A level: half the resolution if it goes down, then residual blocks. */
class AdapterBlock {
  readonly in_conv?: Conv2d;
  readonly resnets: AdapterResnetBlock[];
  readonly out_conv?: Conv2d;

  /** @param isLight with a quarter of the channels inside */
  constructor(
    [inChannels, outChannels]: readonly [number, number],
    layers: number,
    private readonly isDown: boolean,
    isLight: boolean,
  ) {
    const width = isLight ? Math.floor(outChannels / 4) : outChannels;
    if (isLight || inChannels !== outChannels) this.in_conv = new Conv2d(inChannels, width, { kernel: 1 });
    this.resnets = Array.from({ length: layers }, () => new AdapterResnetBlock(width, isLight ? 3 : 1));
    if (isLight) this.out_conv = new Conv2d(width, outChannels, { kernel: 1 });
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    let h = this.isDown ? tf.avgPool(x, 2, 2, "same") : x;
    if (this.in_conv) h = this.in_conv.forward(h);
    for (const resnet of this.resnets) h = resnet.forward(h);
    return this.out_conv ? this.out_conv.forward(h) : h;
  }
}

class Adapter {
  /** Absent in a light adapter, whose first level reads the pixels. */
  readonly conv_in?: Conv2d;
  readonly body: AdapterBlock[];

  constructor({ in_channels, channels, num_res_blocks, downscale_factor, adapter_type }: T2IAdapterConfig) {
    const pixels = in_channels * downscale_factor ** 2;
    const isLight = adapter_type === "light_adapter";
    if (!isLight) this.conv_in = new Conv2d(pixels, channels[0]!);
    // A light adapter has one level more, as wide as the last.
    const widths = isLight ? [...channels, channels.at(-1)!] : channels;
    // XL's first level is half as fine as the latents, and only its third is coarser again.
    const isDown = (i: number) => (adapter_type === "full_adapter_xl" ? i === 2 : i > 0);
    this.body = widths.map((width, i) => {
      const inChannels = widths[i - 1] ?? (isLight ? pixels : width);
      return new AdapterBlock([inChannels, width], num_res_blocks, isDown(i), isLight);
    });
  }

  forward(x: tf.Tensor4D): tf.Tensor4D[] {
    let h = this.conv_in ? this.conv_in.forward(x) : x;
    return this.body.map((block) => (h = block.forward(h)));
  }
}

/**
 * T2I-Adapter (Mou et al. 2023): reads a picture of edges, depths or a sketch once, and gives features to add to those
 * of the UNet's way down, one for each level. It is small and costs nothing in the steps.
 */
export class T2IAdapter extends Model {
  readonly config: T2IAdapterConfig;
  readonly adapter: Adapter;

  constructor(given: Partial<T2IAdapterConfig> = {}) {
    super();
    this.config = resolveConfig(NAME, given, SCHEMA);
    this.adapter = new Adapter(this.config);
  }

  /**
   * x [B, f h, f w, in_channels] in [0, 1] with f = `downscale_factor` -> features [B, h, w, channels[0]] and so on;
   * the caller owns them.
   */
  forward(x: tf.Tensor4D): tf.Tensor4D[] {
    const { in_channels, downscale_factor: factor } = this.config;
    const sides = x.shape.slice(1, 3).map((side) => (side % factor === 0 ? side : null));
    requireTensor(NAME, "x", x, {
      shape: [null, sides[0] ?? NaN, sides[1] ?? NaN, in_channels],
      axes: "[B, H, W, C]",
      hint: `Height and width are multiples of ${factor}.`,
    });
    return tf.tidy(() => this.adapter.forward(pixelUnshuffle(x, factor)));
  }

  override examplePass(noise: ExampleNoise): ExamplePass {
    const side = 64 * this.config.downscale_factor;
    const x = noise.normal<tf.Tensor4D>(side, side, this.config.in_channels);
    return { forward: () => this.forward(x).at(-1)!, inputs: { x } };
  }
}

/** Squares of pixels as channels, in PyTorch's order: [B, f h, f w, C] -> [B, h, w, C f f]. */
function pixelUnshuffle(x: tf.Tensor4D, factor: number): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const [rows, columns] = [height / factor, width / factor];
  const squares = x.reshape([batch * rows, factor, columns, factor * channels]).transpose([0, 2, 1, 3]);
  const turned = squares.reshape([batch * rows * columns, factor * factor, channels]).transpose([0, 2, 1]);
  return turned.reshape([batch, rows, columns, channels * factor * factor]);
}
