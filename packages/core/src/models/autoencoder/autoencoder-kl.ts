import * as tf from "@tensorflow/tfjs";
import { activation, silu } from "../../nn/activations.js";
import { Conv2d } from "../../nn/conv2d.js";
import { GroupNorm } from "../../nn/group-norm.js";
import { recorded } from "../../nn/recorded.js";
import type { ResnetBlockOptions } from "../../nn/resnet-block.js";
import { SelfAttention2D } from "../../nn/spatial-attention.js";
import { type AutoencoderKLConfig, resolveAutoencoderConfig } from "./autoencoder-kl-config.js";
import { Bands } from "./bands.js";
import { requireTensor } from "../checks.js";
import { ModelInputError } from "../errors.js";
import type { ExampleNoise, ExamplePass } from "../example-pass.js";
import { Model } from "../model.js";
import { DownBlock, MidBlock, resultShapes, UpBlock } from "../unet/unet-blocks.js";

const NAME = "AutoencoderKL";

/** How to encode or decode large inputs with less memory. Default: the whole batch at once. */
export interface AutoencoderOptions {
  /**
   * For large pictures: work on horizontal bands of this many latent rows, so that no tensor is larger than a band. The
   * result is the same except for rounding: convolutions read neighbouring bands, and normalisation is over the whole
   * picture. Not for training: it has no gradient.
   */
  bandRows?: number;
  /** For large batches: one picture at a time. */
  oneByOne?: boolean;
}

// act_fn is used in the blocks; the last normalisation of each half is followed by SiLU, as in diffusers.

/** The Gaussian that a picture is encoded to; each tensor is [B, h, w, latent_channels]. */
export interface LatentDistribution {
  mean: tf.Tensor4D;
  /** Natural logarithm of the variance, within [-30, 20]. */
  logvar: tf.Tensor4D;
}

function resnetOptions({ act_fn, norm_num_groups: groups }: AutoencoderKLConfig): ResnetBlockOptions {
  return { groups, eps: 1e-6, act: activation(act_fn) };
}

function middle(config: AutoencoderKLConfig): MidBlock {
  const { norm_num_groups: groups, block_out_channels, mid_block_add_attention } = config;
  const attention = (channels: number) => new SelfAttention2D(channels, { heads: 1, groups, eps: 1e-6 });
  return new MidBlock(block_out_channels.at(-1)!, {
    layers: 1,
    resnet: resnetOptions(config),
    attention: mid_block_add_attention ? attention : undefined,
  });
}

class Encoder {
  readonly conv_in: Conv2d;
  readonly down_blocks: DownBlock[];
  readonly mid_block: MidBlock;
  readonly conv_norm_out: GroupNorm;
  readonly conv_out: Conv2d;

  constructor(readonly config: AutoencoderKLConfig) {
    const { in_channels, latent_channels, layers_per_block: layers, norm_num_groups } = config;
    const channels = config.block_out_channels;
    this.conv_in = new Conv2d(in_channels, channels[0]!);
    this.down_blocks = channels.map((width, i) => {
      const resampling = i === channels.length - 1 ? null : "conv";
      const options = { layers, resnet: resnetOptions(config), attention: undefined, resampling, padding: 0 } as const;
      return new DownBlock(channels[Math.max(i - 1, 0)]!, width, options);
    });
    this.mid_block = middle(config);
    this.conv_norm_out = new GroupNorm(norm_num_groups, channels.at(-1)!, 1e-6);
    this.conv_out = new Conv2d(channels.at(-1)!, 2 * latent_channels);
  }

  forward(x: tf.Tensor4D, bandRows?: number): tf.Tensor4D {
    const h = this.mid_block.forward(bandRows ? this.#downInBands(x, bandRows) : this.#down(x), {});
    return this.conv_out.forward(this.conv_norm_out.forward(h, silu));
  }

  #down(x: tf.Tensor4D): tf.Tensor4D {
    let h = this.conv_in.forward(x);
    for (const block of this.down_blocks) h = block.forward(h, {}).at(-1)!;
    return h;
  }

  #downInBands(x: tf.Tensor4D, bandRows: number): tf.Tensor4D {
    const bands = Bands.split(x, bandRows * 2 ** (this.down_blocks.length - 1));
    bands.convolve(this.conv_in);
    for (const { resnets, downsamplers } of this.down_blocks) {
      for (const resnet of resnets) bands.resnet(resnet, this.config.act_fn);
      if (downsamplers) bands.downsample(downsamplers[0]);
    }
    return bands.join();
  }
}

class Decoder {
  readonly conv_in: Conv2d;
  readonly mid_block: MidBlock;
  readonly up_blocks: UpBlock[];
  readonly conv_norm_out: GroupNorm;
  readonly conv_out: Conv2d;

  constructor(readonly config: AutoencoderKLConfig) {
    const { out_channels, latent_channels, layers_per_block: layers, norm_num_groups } = config;
    const channels = [...config.block_out_channels].reverse();
    this.conv_in = new Conv2d(latent_channels, channels[0]!);
    this.mid_block = middle(config);
    this.up_blocks = channels.map((width, i) => {
      const resampling = i === channels.length - 1 ? null : "conv";
      const options = { resnet: resnetOptions(config), attention: undefined, resampling } as const;
      return new UpBlock(channels[Math.max(i - 1, 0)]!, width, Array<number>(layers + 1).fill(0), options);
    });
    this.conv_norm_out = new GroupNorm(norm_num_groups, channels.at(-1)!, 1e-6);
    this.conv_out = new Conv2d(channels.at(-1)!, out_channels);
  }

  forward(z: tf.Tensor4D, bandRows?: number): tf.Tensor4D {
    const h = this.mid_block.forward(this.conv_in.forward(z), {});
    return bandRows ? this.#upInBands(h, bandRows) : this.#up(h);
  }

  #up(x: tf.Tensor4D): tf.Tensor4D {
    let h = x;
    for (const block of this.up_blocks) h = block.forward(h, {});
    return this.conv_out.forward(this.conv_norm_out.forward(h, silu));
  }

  #upInBands(x: tf.Tensor4D, bandRows: number): tf.Tensor4D {
    const bands = Bands.split(x, bandRows);
    for (const { resnets, upsamplers } of this.up_blocks) {
      for (const resnet of resnets) bands.resnet(resnet, this.config.act_fn);
      if (upsamplers) bands.upsample(upsamplers[0]);
    }
    bands.normalise(this.conv_norm_out, "silu");
    bands.convolve(this.conv_out);
    return bands.join();
  }
}

/**
 * The autoencoder of latent diffusion (Rombach et al. 2022, section 3.1; Kingma & Welling 2014): encodes a picture to a
 * Gaussian over latents of 1 / 2^(levels - 1) its size, and decodes latents.
 */
export class AutoencoderKL extends Model {
  readonly config: AutoencoderKLConfig;
  readonly encoder: Encoder;
  readonly decoder: Decoder;
  readonly quant_conv?: Conv2d;
  readonly post_quant_conv?: Conv2d;

  constructor(config: Partial<AutoencoderKLConfig> = {}) {
    super();
    this.config = resolveAutoencoderConfig(config);
    const { latent_channels, use_quant_conv, use_post_quant_conv } = this.config;
    this.encoder = new Encoder(this.config);
    this.decoder = new Decoder(this.config);
    if (use_quant_conv) this.quant_conv = new Conv2d(2 * latent_channels, 2 * latent_channels, { kernel: 1 });
    if (use_post_quant_conv) this.post_quant_conv = new Conv2d(latent_channels, latent_channels, { kernel: 1 });
  }

  /** x [B, H, W, in_channels] in [-1, 1] -> the distribution of its latents, which the caller owns. */
  encode(x: tf.Tensor4D, options: AutoencoderOptions = {}): LatentDistribution {
    requireTensor(NAME, "x", x, { shape: [null, null, null, this.config.in_channels], axes: "[B, H, W, C]" });
    resultShapes(NAME, this.encoder.down_blocks, [x.shape[1], x.shape[2]]);
    checkBandRows(options.bandRows);
    return tf.tidy(() => {
      const moments = perItem(x, options.oneByOne, (x) => {
        const h = inOne(this.encoder, x, options.bandRows);
        return this.quant_conv ? this.quant_conv.forward(h) : h;
      });
      const [mean, logvar] = tf.split(moments, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
      return { mean, logvar: logvar.clipByValue(-30, 20) as tf.Tensor4D };
    });
  }

  /**
   * z [B, h, w, latent_channels], not scaled by scaling_factor -> pictures, about within [-1, 1], which the caller
   * owns.
   */
  decode(z: tf.Tensor4D, options: AutoencoderOptions = {}): tf.Tensor4D {
    requireTensor(NAME, "z", z, { shape: [null, null, null, this.config.latent_channels], axes: "[B, h, w, C]" });
    checkBandRows(options.bandRows);
    return tf.tidy(() =>
      perItem(z, options.oneByOne, (z) => {
        const h = this.post_quant_conv ? this.post_quant_conv.forward(z) : z;
        return inOne(this.decoder, h, options.bandRows);
      }),
    );
  }

  /** A pass of the decoder. */
  override examplePass(noise: ExampleNoise): ExamplePass {
    const { sample_size, block_out_channels, latent_channels } = this.config;
    const side = sample_size / 2 ** (block_out_channels.length - 1);
    const latents = noise.normal<tf.Tensor4D>(side, side, latent_channels);
    return { forward: () => this.decode(latents), inputs: { latents } };
  }
}

/**
 * KL(N(mean, exp(logvar)) || N(0, 1)) of each item, summed over its latents: [B] (Kingma & Welling 2014, appendix B).
 */
export function klToStandardNormal({ mean, logvar }: LatentDistribution): tf.Tensor1D {
  return tf.tidy(() => mean.square().add(logvar.exp()).sub(1).sub(logvar).sum([1, 2, 3]).mul<tf.Tensor1D>(0.5));
}

function checkBandRows(rows: number | undefined): void {
  if (rows === undefined || (Number.isInteger(rows) && rows >= 1)) return;
  throw new ModelInputError(`${NAME}: bandRows is ${rows}; expected a whole number of latent rows, 1 or more.`);
}

/** Runs the encoder or the decoder, in bands if `bandRows` is given. */
function inOne(half: Encoder | Decoder, x: tf.Tensor4D, bandRows: number | undefined): tf.Tensor4D {
  return bandRows ? half.forward(x, bandRows) : recorded(half, { x }, () => half.forward(x));
}

/** Applies f to the whole batch, or to one item at a time. */
function perItem(x: tf.Tensor4D, oneByOne: boolean | undefined, f: (x: tf.Tensor4D) => tf.Tensor4D): tf.Tensor4D {
  if (!oneByOne || x.shape[0] === 1) return tf.tidy(() => f(x));
  return tf.tidy(() => tf.concat(tf.split<tf.Tensor4D>(x, x.shape[0]).map((item) => tf.tidy(() => f(item)))));
}
