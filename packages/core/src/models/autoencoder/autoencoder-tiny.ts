import * as tf from "@tensorflow/tfjs";
import { activation, type ActivationName, activationNames } from "../../nn/activations.js";
import { Conv2d } from "../../nn/conv2d.js";
import { nearestResize } from "../../nn/resample.js";
import { requireTensor } from "../checks.js";
import { count, flag, layers, listOf, number, oneOf, type SchemaOf } from "../../weights/config-schema.js";
import { eachLevel, resolveConfig } from "../config.js";
import { ModelInputError } from "../errors.js";
import type { ExampleNoise, ExamplePass } from "../example-pass.js";
import { Model } from "../model.js";
import type { AutoencoderOptions } from "./autoencoder-kl.js";

const NAME = "AutoencoderTiny";

/** `config.json` of an AutoencoderTiny, as diffusers writes it. Lists are per stage: the encoder's from the finest. */
export interface AutoencoderTinyConfig {
  _class_name: "AutoencoderTiny";
  in_channels: number;
  out_channels: number;
  encoder_block_out_channels: number[];
  decoder_block_out_channels: number[];
  /** The same as decoder_block_out_channels; diffusers writes it, so that its length gives the factor. */
  block_out_channels: number[];
  act_fn: ActivationName;
  upsample_fn: "nearest";
  latent_channels: number;
  upsampling_scaling_factor: number;
  num_encoder_blocks: number[];
  num_decoder_blocks: number[];
  /** With latent_shift: the range of latents that are stored as bytes, which is not done here. */
  latent_magnitude: number;
  latent_shift: number;
  force_upcast: boolean;
  /** 1: it was taught the latents as a diffusion model sees them. */
  scaling_factor: number;
  shift_factor: number;
}

const STAGES = [64, 64, 64, 64];

const SCHEMA: SchemaOf<AutoencoderTinyConfig> = {
  _class_name: oneOf(NAME, [NAME]),
  in_channels: count(3),
  out_channels: count(3),
  encoder_block_out_channels: listOf(count(STAGES)),
  decoder_block_out_channels: listOf(count(STAGES)),
  block_out_channels: listOf(count(STAGES)),
  act_fn: oneOf("relu", activationNames),
  upsample_fn: oneOf("nearest", ["nearest"]),
  latent_channels: count(4),
  upsampling_scaling_factor: oneOf<number>(2, [2]),
  num_encoder_blocks: listOf(layers([1, 3, 3, 3])),
  num_decoder_blocks: listOf(layers([3, 3, 3, 1])),
  latent_magnitude: number(3),
  latent_shift: number(0.5),
  force_upcast: flag(false),
  scaling_factor: number(1),
  shift_factor: number(0),
};

function resolveTinyConfig(given: Partial<AutoencoderTinyConfig>): AutoencoderTinyConfig {
  const decoder = given.decoder_block_out_channels ?? STAGES;
  const config = resolveConfig(NAME, { ...given, block_out_channels: decoder }, SCHEMA);
  const levels = config.encoder_block_out_channels.length;
  for (const key of ["num_encoder_blocks", "num_decoder_blocks", "decoder_block_out_channels"] as const)
    eachLevel(NAME, key, config[key], levels);
  return config;
}

/** A layer, or what stands between two and has no parameters: its place counts in the names of those after it. */
interface Step {
  forward(x: tf.Tensor4D): tf.Tensor4D;
}

function through(steps: readonly Step[], x: tf.Tensor4D): tf.Tensor4D {
  return steps.reduce((h, step) => step.forward(h), x);
}

/** Three convolutions, added to the input. */
class TinyBlock implements Step {
  readonly conv: Step[];

  constructor(channels: number, act: ActivationName) {
    const between: Step = { forward: activation(act) };
    const convolution = () => new Conv2d(channels, channels);
    this.conv = [convolution(), between, convolution(), between, convolution()];
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.relu(through(this.conv, x).add<tf.Tensor4D>(x));
  }
}

function tinyBlocks(count: number, channels: number, act: ActivationName): TinyBlock[] {
  return Array.from({ length: count }, () => new TinyBlock(channels, act));
}

class Encoder {
  readonly layers: Step[];

  constructor(config: AutoencoderTinyConfig) {
    const { in_channels, latent_channels, act_fn, encoder_block_out_channels: widths } = config;
    const stages = config.num_encoder_blocks.flatMap((blocks, i) => {
      const width = widths[i]!;
      const first = i === 0 ? new Conv2d(in_channels, width) : new Conv2d(width, width, { stride: 2, bias: false });
      return [first, ...tinyBlocks(blocks, width, act_fn)];
    });
    this.layers = [...stages, new Conv2d(widths.at(-1)!, latent_channels)];
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return through(this.layers, x.add<tf.Tensor4D>(1).div(2));
  }
}

class Decoder {
  readonly layers: Step[];

  constructor(config: AutoencoderTinyConfig) {
    const { out_channels, latent_channels, act_fn, decoder_block_out_channels: widths } = config;
    const doubled: Step = { forward: (x) => nearestResize(x) };
    const stages = config.num_decoder_blocks.flatMap((blocks, i): Step[] => {
      const [width, isLast] = [widths[i]!, i === widths.length - 1];
      const last = new Conv2d(width, isLast ? out_channels : width, { bias: isLast });
      return [...tinyBlocks(blocks, width, act_fn), ...(isLast ? [] : [doubled]), last];
    });
    this.layers = [new Conv2d(latent_channels, widths[0]!), { forward: activation(act_fn) }, ...stages];
  }

  forward(z: tf.Tensor4D): tf.Tensor4D {
    const bounded = z.div<tf.Tensor4D>(LARGEST).tanh().mul<tf.Tensor4D>(LARGEST);
    return through(this.layers, bounded).mul<tf.Tensor4D>(2).sub(1);
  }
}

/** Latents are bounded smoothly by this, before they are decoded. */
const LARGEST = 3;

/**
 * TAESD (Ollin Boer Bohan, 2023): a small autoencoder that was taught the latents of Stable Diffusion's. It decodes in
 * a fraction of the time, with fewer details: for previews, and for machines on which the whole one is too slow. Its
 * encoder gives the latents themselves, not a distribution.
 */
export class AutoencoderTiny extends Model {
  readonly config: AutoencoderTinyConfig;
  readonly encoder: Encoder;
  readonly decoder: Decoder;

  constructor(given: Partial<AutoencoderTinyConfig> = {}) {
    super();
    this.config = resolveTinyConfig(given);
    this.encoder = new Encoder(this.config);
    this.decoder = new Decoder(this.config);
  }

  /** x [B, f h, f w, in_channels] in [-1, 1] -> latents [B, h, w, latent_channels], which the caller owns. */
  encode(x: tf.Tensor4D, options: AutoencoderOptions = {}): { latents: tf.Tensor4D } {
    const { in_channels, encoder_block_out_channels } = this.config;
    requireTensor(NAME, "x", x, { shape: [null, null, null, in_channels], axes: "[B, H, W, C]" });
    const factor = 2 ** (encoder_block_out_channels.length - 1);
    const [, height, width] = x.shape;
    if (height % factor !== 0 || width % factor !== 0)
      throw new ModelInputError(`${NAME}: x is ${height} x ${width}; expected multiples of ${factor}.`);
    return { latents: tf.tidy(() => inPieces(x, options, (part) => this.encoder.forward(part))) };
  }

  /** z [B, h, w, latent_channels] -> pictures [B, f h, f w, out_channels] near [-1, 1], which the caller owns. */
  decode(z: tf.Tensor4D, options: AutoencoderOptions = {}): tf.Tensor4D {
    const { latent_channels } = this.config;
    requireTensor(NAME, "z", z, { shape: [null, null, null, latent_channels], axes: "[B, H, W, C]" });
    return tf.tidy(() => inPieces(z, options, (part) => this.decoder.forward(part)));
  }

  override examplePass(noise: ExampleNoise): ExamplePass {
    const z = noise.normal<tf.Tensor4D>(64, 64, this.config.latent_channels);
    return { forward: () => this.decode(z), inputs: { z } };
  }
}

/** Its feature maps are narrow, so that bands of a picture save little: `bandRows` is not used. */
function inPieces(x: tf.Tensor4D, { oneByOne }: AutoencoderOptions, forward: (part: tf.Tensor4D) => tf.Tensor4D) {
  if (!oneByOne || x.shape[0] === 1) return forward(x);
  return tf.concat(tf.split<tf.Tensor4D>(x, x.shape[0]).map((part) => tf.tidy(() => forward(part))));
}
