import * as tf from "@tensorflow/tfjs";
import { activation, silu } from "../../nn/activations.js";
import { Conv2d } from "../../nn/conv2d.js";
import { Embedding } from "../../nn/embedding.js";
import { GroupNorm } from "../../nn/group-norm.js";
import { recorded } from "../../nn/recorded.js";
import type { ResnetBlockOptions } from "../../nn/resnet-block.js";
import { SelfAttention2D, type SelfAttention2DOptions } from "../../nn/spatial-attention.js";
import { TimestepEmbedding, timestepSinusoid } from "../../nn/time-embedding.js";
import { checkClassLabels, checkTimestep, requireTensor, timestepVector } from "../checks.js";
import { eachLevel } from "../config.js";
import type { ClassLabels, Denoiser, DenoiserInputs } from "../denoiser.js";
import { Model } from "../model.js";
import { sidesOf } from "./sample-size.js";
import { resolveUNet2DConfig, type UNet2DConfig } from "./unet-2d-config.js";
import { DownBlock, MidBlock, resultShapes, UpBlock } from "./unet-blocks.js";

const NAME = "UNet2DModel";

/** Inputs of the UNet besides x and t, if the config has classes. Borrowed. */
export type UNet2DInputs = DenoiserInputs;

/**
 * The denoiser of DDPM (Ho et al. 2020, appendix B): a UNet of residual and attention blocks that reads a noisy
 * picture, the timestep and optionally a class.
 *
 * forward: x [B, H, W, in_channels], t a number or [B] -> [B, H, W, out_channels]; H and W may be any size, also odd.
 */
export class UNet2DModel extends Model implements Denoiser {
  readonly config: UNet2DConfig;
  readonly conv_in: Conv2d;
  readonly time_embedding: TimestepEmbedding;
  readonly class_embedding?: Embedding | TimestepEmbedding;
  readonly down_blocks: DownBlock[];
  readonly mid_block?: MidBlock;
  readonly up_blocks: UpBlock[];
  readonly conv_norm_out: GroupNorm;
  readonly conv_out: Conv2d;
  readonly #timeChannels: number;

  constructor(given: Partial<UNet2DConfig> = {}) {
    super();
    const config = resolveUNet2DConfig(given);
    this.config = config;
    const count = config.block_out_channels.length;
    const downTypes = eachLevel(NAME, "down_block_types", config.down_block_types, count);
    const channels = config.block_out_channels;
    const upTypes = eachLevel(NAME, "up_block_types", config.up_block_types, count);
    const first = channels[0]!;
    this.#timeChannels = config.time_embedding_dim ?? first * 4;

    this.conv_in = new Conv2d(config.in_channels, first);
    this.time_embedding = new TimestepEmbedding(first, this.#timeChannels);
    if (config.class_embed_type === "timestep") {
      this.class_embedding = new TimestepEmbedding(first, this.#timeChannels);
    } else if (config.class_embed_type === null && config.num_class_embeds !== null) {
      this.class_embedding = new Embedding(config.num_class_embeds, this.#timeChannels);
    }
    this.down_blocks = downTypes.map((type, i) => {
      const sampling = {
        DownBlock2D: "conv",
        ResnetDownsampleBlock2D: "resnet",
        AttnDownBlock2D: config.downsample_type,
      };
      return new DownBlock(channels[Math.max(i - 1, 0)]!, channels[i]!, {
        layers: config.layers_per_block,
        resnet: this.#resnetOptions(),
        attention: type === "AttnDownBlock2D" ? (channels) => this.#attention(channels) : undefined,
        resampling: i === count - 1 ? null : (sampling[type] as "conv" | "resnet"),
        padding: config.downsample_padding,
      });
    });
    if (config.mid_block_type !== null) this.mid_block = this.#middle(channels.at(-1)!);
    this.up_blocks = upTypes.map((type, i) => {
      const sampling = { UpBlock2D: "conv", ResnetUpsampleBlock2D: "resnet", AttnUpBlock2D: config.upsample_type };
      const level = count - 1 - i;
      const skips = Array<number>(config.layers_per_block).fill(channels[level]!);
      return new UpBlock(
        channels[Math.min(level + 1, count - 1)]!,
        channels[level]!,
        [...skips, channels[Math.max(level - 1, 0)]!],
        {
          resnet: this.#resnetOptions(),
          attention: type === "AttnUpBlock2D" ? (channels) => this.#attention(channels) : undefined,
          resampling: level === 0 ? null : (sampling[type] as "conv" | "resnet"),
        },
      );
    });
    this.conv_norm_out = new GroupNorm(config.norm_num_groups, first, config.norm_eps);
    this.conv_out = new Conv2d(first, config.out_channels);
  }

  get inChannels(): number {
    return this.config.in_channels;
  }

  get outChannels(): number {
    return this.config.out_channels;
  }

  get sampleSize(): [height: number, width: number] | undefined {
    return sidesOf(this.config.sample_size);
  }

  get classLabels(): ClassLabels | undefined {
    const { class_embed_type: type, num_class_embeds: count } = this.config;
    if (type === null) return count === null ? undefined : { kind: "ids", count };
    return type === "timestep" ? { kind: "times" } : { kind: "vectors", width: this.#timeChannels };
  }

  /** As a UNet2DConditionModel's. */
  featureMaps(height: number, width: number): [number, number, number][] {
    const first: [number, number, number] = [height, width, this.config.block_out_channels[0]!];
    const kept = [first, ...resultShapes(NAME, this.down_blocks, [height, width])];
    return [...kept, kept.at(-1)!];
  }

  /** Borrows its arguments; the caller owns the result. Throws ModelInputError before any work. */
  forward(x: tf.Tensor4D, t: number | tf.Tensor1D, { classLabels }: UNet2DInputs = {}): tf.Tensor4D {
    const { config } = this;
    requireTensor(NAME, "x", x, { shape: [null, null, null, config.in_channels], axes: "[B, H, W, C]" });
    resultShapes(NAME, this.down_blocks, [x.shape[1], x.shape[2]]);
    checkTimestep(NAME, t, x.shape[0]);
    checkClassLabels(NAME, this.classLabels, classLabels, { batch: x.shape[0], key: "num_class_embeds" });
    return tf.tidy(() => {
      const time = this.#sinusoid(timestepVector(t));
      const classes = classLabels && this.#classVectors(classLabels);
      return recorded(this, { x, time, classes }, () => this.#predict(x, time, classes));
    });
  }

  #predict(x: tf.Tensor4D, sinusoid: tf.Tensor2D, classes: tf.Tensor2D | undefined): tf.Tensor4D {
    const time = activation(this.config.act_fn)(this.#embed(sinusoid, classes));
    const input = this.config.center_input_sample ? x.mul<tf.Tensor4D>(2).sub<tf.Tensor4D>(1) : x;
    const skips = [this.conv_in.forward(input)];
    for (const block of this.down_blocks) skips.push(...block.forward(skips.at(-1)!, { time }));
    let h = this.mid_block ? this.mid_block.forward(skips.at(-1)!, { time }) : skips.at(-1)!;
    for (const block of this.up_blocks) h = block.forward(h, { time }, skips);
    return this.conv_out.forward(this.conv_norm_out.forward(h, silu)); // diffusers always uses SiLU here, for any act_fn.
  }

  #embed(sinusoid: tf.Tensor2D, classes: tf.Tensor2D | undefined): tf.Tensor2D {
    const embedding = this.time_embedding.forward(sinusoid);
    if (!classes) return embedding;
    const layers = this.class_embedding;
    return embedding.add(layers instanceof TimestepEmbedding ? layers.forward(classes) : classes);
  }

  /**
   * The class vectors: rows of the table of classes, sinusoids of labels that are times, or the labels themselves if
   * they are vectors.
   */
  #classVectors(labels: tf.Tensor): tf.Tensor2D {
    if (this.class_embedding instanceof Embedding) return this.class_embedding.forward(labels) as tf.Tensor2D;
    return this.class_embedding ? this.#sinusoid(labels as tf.Tensor1D) : (labels as tf.Tensor2D);
  }

  #sinusoid(t: tf.Tensor1D): tf.Tensor2D {
    const { block_out_channels, flip_sin_to_cos: flipSinToCos, freq_shift: freqShift } = this.config;
    return timestepSinusoid(t, block_out_channels[0]!, { flipSinToCos, freqShift });
  }

  #resnetOptions(): ResnetBlockOptions {
    const { config } = this;
    return {
      groups: config.norm_num_groups,
      eps: config.norm_eps,
      timeChannels: this.#timeChannels,
      timeScaleShift: config.resnet_time_scale_shift,
      act: activation(config.act_fn),
    };
  }

  #attention(channels: number, options: Partial<SelfAttention2DOptions> = {}): SelfAttention2D {
    const { attention_head_dim, norm_num_groups: groups, norm_eps: eps } = this.config;
    return new SelfAttention2D(channels, {
      heads: channels / (attention_head_dim ?? channels),
      groups,
      eps,
      ...options,
    });
  }

  #middle(channels: number): MidBlock {
    const { attn_norm_num_groups, norm_num_groups, resnet_time_scale_shift, mid_block_scale_factor, add_attention } =
      this.config;
    // diffusers' own rule: with scale_shift, the middle attention is not normalised unless its groups are given.
    const groups = attn_norm_num_groups ?? (resnet_time_scale_shift === "default" ? norm_num_groups : null);
    const outputScale = mid_block_scale_factor;
    return new MidBlock(channels, {
      layers: 1,
      resnet: { ...this.#resnetOptions(), outputScale },
      attention: add_attention ? (channels) => this.#attention(channels, { groups, outputScale }) : undefined,
    });
  }
}
