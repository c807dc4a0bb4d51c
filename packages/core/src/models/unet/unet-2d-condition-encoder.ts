import * as tf from "@tensorflow/tfjs";
import { activation } from "../../nn/activations.js";
import { maskToBias } from "../../nn/attention.js";
import { Conv2d } from "../../nn/conv2d.js";
import { Embedding } from "../../nn/embedding.js";
import { Linear } from "../../nn/linear.js";
import type { ResnetBlockOptions } from "../../nn/resnet-block.js";
import { TimestepEmbedding, timestepSinusoid } from "../../nn/time-embedding.js";
import { checkClassLabels, checkTimestep, refuseTensor, requireTensor, timestepVector } from "../checks.js";
import type { AddedText, ClassLabels, ConditionalDenoiserInputs } from "../denoiser.js";
import { ModelConfigError } from "../errors.js";
import { Model } from "../model.js";
import { attentionFactory } from "./unet-2d-condition-attention.js";
import { type ConditionLevel, conditionLevels, type UNet2DConditionConfig } from "./unet-2d-condition-config.js";
import { type Conditioning, DownBlock, MidBlock, resultShapes } from "./unet-blocks.js";

/** Inputs of a conditional UNet and its ControlNets besides latents, timestep and text; the config says which. */
export type ConditionInputs = Omit<
  ConditionalDenoiserInputs,
  "downResiduals" | "midResidual" | "levelFeatures" | "freeU" | "perturbedLayers" | "imageStates"
>;

/** The vectors that are computed or looked up for numeric inputs; the rest of the network reads only vectors. */
export interface Vectors {
  /** The sinusoid of t, [B or 1, channels of the first level]. */
  time: tf.Tensor2D;
  /**
   * The class vectors [B, n]: rows of the table, sinusoids of labels that are times, or the labels themselves if they
   * are vectors.
   */
  classes?: tf.Tensor2D;
  /** The sinusoids of SDXL's time ids, [B n, addition_time_embed_dim]. */
  sizes?: tf.Tensor2D;
}

/** The way down of a conditional UNet and its middle block; a ControlNet copies them. */
export abstract class ConditionEncoder extends Model {
  readonly conv_in: Conv2d;
  readonly time_embedding: TimestepEmbedding;
  readonly class_embedding?: Embedding | TimestepEmbedding | Linear;
  readonly add_embedding?: TimestepEmbedding;
  readonly encoder_hid_proj?: Linear;
  readonly down_blocks: DownBlock[];
  readonly mid_block?: MidBlock;
  protected readonly levels: readonly ConditionLevel[];
  readonly #timeChannels: number;

  /** @param name the network's class in error messages */
  constructor(
    readonly name: string,
    protected readonly unet: UNet2DConditionConfig,
  ) {
    super();
    const config = unet;
    this.levels = conditionLevels(name, config);
    const first = this.levels[0]!.channels;
    const last = this.levels.at(-1)!;
    this.#timeChannels = config.time_embedding_dim ?? first * 4;
    const act = activation(config.act_fn);
    this.conv_in = new Conv2d(config.in_channels, first, { kernel: config.conv_in_kernel });
    this.time_embedding = new TimestepEmbedding(first, this.#timeChannels, {
      act,
      conditionFeatures: config.time_cond_proj_dim,
    });
    this.class_embedding = this.#classEmbedding(first);
    if (config.addition_embed_type === "text_time") {
      const width = this.#required("projection_class_embeddings_input_dim", "addition_embed_type text_time");
      this.#required("addition_time_embed_dim", "addition_embed_type text_time");
      this.add_embedding = new TimestepEmbedding(width, this.#timeChannels);
    }
    if (config.encoder_hid_dim_type !== null) {
      this.#required("encoder_hid_dim", `encoder_hid_dim_type ${config.encoder_hid_dim_type}`);
    }
    if (config.encoder_hid_dim !== null) {
      this.encoder_hid_proj = new Linear(config.encoder_hid_dim, this.levels[0]!.contextChannels);
    }
    this.down_blocks = this.levels.map((level, i) => {
      const isResnet = level.downType === "ResnetDownsampleBlock2D" || level.downType === "SimpleCrossAttnDownBlock2D";
      return new DownBlock(i === 0 ? first : this.levels[i - 1]!.channels, level.channels, {
        layers: level.layers,
        resnet: this.resnetOptions(),
        attention: attentionFactory(config, level, level.downType, level.downTransformers),
        resampling: i === this.levels.length - 1 ? null : isResnet ? "resnet" : "conv",
        padding: config.downsample_padding,
      });
    });
    if (config.mid_block_type !== null) {
      this.mid_block = new MidBlock(last.channels, {
        layers: config.mid_block_type === "UNetMidBlock2D" ? 0 : 1,
        resnet: { ...this.resnetOptions(), outputScale: config.mid_block_scale_factor },
        attention: attentionFactory(
          config,
          { ...last, onlyCrossAttention: this.#midOnlyCrossAttention() },
          config.mid_block_type,
          last.downTransformers,
        ),
      });
    }
  }

  /** Channels of x. */
  get inChannels(): number {
    return this.unet.in_channels;
  }

  /** Width of each state of the context. */
  get contextWidth(): number {
    return this.unet.encoder_hid_dim ?? this.levels[0]!.contextChannels;
  }

  /** The form of `classLabels`; undefined if the network has none. */
  get classLabels(): ClassLabels | undefined {
    const { class_embed_type: type, num_class_embeds: count, projection_class_embeddings_input_dim: width } = this.unet;
    if (type === null) return count === null ? undefined : { kind: "ids", count };
    if (type === "timestep") return { kind: "times" };
    return { kind: "vectors", width: type === "identity" ? this.#timeChannels : width! };
  }

  /** The total width of `textEmbeds` and embedded `timeIds`; undefined if the network has none. */
  get addedText(): AddedText | undefined {
    const { projection_class_embeddings_input_dim: width, addition_time_embed_dim: timeIdWidth } = this.unet;
    return this.add_embedding && { width: width!, timeIdWidth: timeIdWidth! };
  }

  /**
   * Sizes [height, width, channels] of the skip connections for an x of this size, from the finest, then of the middle
   * block's output.
   */
  featureMaps(height: number, width: number): [number, number, number][] {
    const first: [number, number, number] = [height, width, this.levels[0]!.channels];
    const kept = [first, ...resultShapes(this.name, this.down_blocks, [height, width])];
    return [...kept, kept.at(-1)!];
  }

  /** The settings shared by all residual blocks of the network. */
  protected resnetOptions(): ResnetBlockOptions {
    const config = this.unet;
    return {
      groups: config.norm_num_groups,
      eps: config.norm_eps,
      timeChannels: this.#timeChannels * (config.class_embeddings_concat ? 2 : 1),
      timeScaleShift: config.resnet_time_scale_shift,
      act: activation(config.act_fn),
    };
  }

  /** Checks every input against the config; throws ModelInputError. */
  protected checkInputs(x: tf.Tensor4D, t: number | tf.Tensor1D, context: tf.Tensor3D, inputs: ConditionInputs): void {
    const { unet: config, name } = this;
    requireTensor(name, "x", x, {
      shape: [null, null, null, config.in_channels],
      axes: "[B, H, W, C]",
      hint: "A latent model reads latents, which the VAE encodes; an inpainting model reads latents, mask and masked latents, concatenated.",
    });
    const [batch, height, width] = x.shape;
    resultShapes(name, this.down_blocks, [height, width]);
    checkTimestep(name, t, batch);
    requireTensor(name, "context", context, {
      shape: [batch, null, this.contextWidth],
      axes: "[B, L, C]",
      hint: "It is the text encoder's hidden states, one row of tokens for each image.",
    });
    if (this.add_embedding) {
      const { textEmbeds, timeIds } = inputs;
      requireTensor(name, "textEmbeds", textEmbeds, { shape: [batch, null], axes: "[B, C]" });
      requireTensor(name, "timeIds", timeIds, { shape: [batch, null], axes: "[B, n]", dtype: "any" });
      const width = textEmbeds!.shape[1] + timeIds!.shape[1] * config.addition_time_embed_dim!;
      requireTensor(name, "textEmbeds", textEmbeds, {
        shape: [batch, textEmbeds!.shape[1] + config.projection_class_embeddings_input_dim! - width],
        axes: "[B, C]",
        hint: `With timeIds of ${timeIds!.shape[1]} numbers, ${config.addition_time_embed_dim} features each.`,
      });
    } else {
      refuseTensor(name, "textEmbeds", inputs.textEmbeds, "addition_embed_type");
      refuseTensor(name, "timeIds", inputs.timeIds, "addition_embed_type");
    }
    checkClassLabels(name, this.classLabels, inputs.classLabels, { batch, key: "class_embed_type" });
    if (inputs.timestepCond) {
      if (config.time_cond_proj_dim === null) {
        refuseTensor(name, "timestepCond", inputs.timestepCond, "time_cond_proj_dim");
      }
      requireTensor(name, "timestepCond", inputs.timestepCond, {
        shape: [batch, config.time_cond_proj_dim],
        axes: "[B, C]",
      });
    }
    if (inputs.encoderAttentionMask) {
      requireTensor(name, "encoderAttentionMask", inputs.encoderAttentionMask, {
        shape: [batch, context.shape[1]],
        axes: "[B, L]",
        dtype: "any",
      });
    }
  }

  /**
   * Turns numeric inputs (times, sizes, classes) into vectors; the rest of the network then depends only on tensors.
   */
  protected vectors(t: number | tf.Tensor1D, { classLabels, timeIds }: ConditionInputs): Vectors {
    return {
      time: this.#sinusoid(timestepVector(t), this.levels[0]!.channels),
      classes: classLabels && this.#classVectors(classLabels),
      sizes:
        timeIds && this.#sinusoid(timeIds.reshape<tf.Tensor1D>([timeIds.size]), this.unet.addition_time_embed_dim!),
    };
  }

  /** All inputs of the blocks: time, class and text vectors in one embedding; context and its mask. */
  protected conditioning(
    x: tf.Tensor4D,
    context: tf.Tensor3D,
    vectors: Vectors,
    { timestepCond, textEmbeds, encoderAttentionMask }: Omit<ConditionInputs, "classLabels" | "timeIds">,
  ): Conditioning {
    const config = this.unet;
    let embedding: tf.Tensor2D = this.time_embedding.forward(vectors.time, timestepCond);
    if (config.timestep_post_act) embedding = activation(config.timestep_post_act)(embedding);
    if (vectors.classes) {
      const vector = this.#embedClass(vectors.classes);
      embedding = config.class_embeddings_concat
        ? tf.concat([embedding.tile<tf.Tensor2D>([x.shape[0] / embedding.shape[0], 1]), vector], 1)
        : embedding.add<tf.Tensor2D>(vector);
    }
    if (this.add_embedding) embedding = embedding.add<tf.Tensor2D>(this.#embedAddition(textEmbeds!, vectors.sizes!));
    if (config.time_embedding_act_fn) embedding = activation(config.time_embedding_act_fn)(embedding);
    return {
      time: activation(config.act_fn)(embedding),
      context: this.encoder_hid_proj ? this.encoder_hid_proj.forward(context) : context,
      contextBias: encoderAttentionMask && maskToBias(encoderAttentionMask),
    };
  }

  /**
   * Runs the way down and the middle block: returns the results of every level, from the finest, and of the middle
   * block.
   */
  protected encode(
    h: tf.Tensor4D,
    conditioning: Conditioning,
    levelFeatures: readonly tf.Tensor4D[] = [],
  ): { skips: tf.Tensor4D[]; middle: tf.Tensor4D } {
    const skips = [h];
    for (const [i, block] of this.down_blocks.entries())
      skips.push(...block.forward(skips.at(-1)!, conditioning, levelFeatures[i]));
    const last = skips.at(-1)!;
    const middle = this.mid_block ? this.mid_block.forward(last, conditioning) : last;
    // Adapters of XL have one feature more than it has levels.
    const further = levelFeatures[this.down_blocks.length];
    return { skips, middle: further ? middle.add<tf.Tensor4D>(further) : middle };
  }

  #classEmbedding(sinusoidWidth: number): Embedding | TimestepEmbedding | Linear | undefined {
    const config = this.unet;
    const act = activation(config.act_fn);
    const projectionWidth = () =>
      this.#required("projection_class_embeddings_input_dim", `class_embed_type ${config.class_embed_type}`);
    switch (config.class_embed_type) {
      case "timestep":
        return new TimestepEmbedding(sinusoidWidth, this.#timeChannels, { act });
      case "projection":
        return new TimestepEmbedding(projectionWidth(), this.#timeChannels);
      case "simple_projection":
        return new Linear(projectionWidth(), this.#timeChannels);
      case "identity":
        return undefined;
      case null:
        return config.num_class_embeds === null
          ? undefined
          : new Embedding(config.num_class_embeds, this.#timeChannels);
    }
  }

  #classVectors(labels: tf.Tensor): tf.Tensor2D {
    if (this.class_embedding instanceof Embedding) return this.class_embedding.forward(labels) as tf.Tensor2D;
    if (this.unet.class_embed_type !== "timestep") return labels as tf.Tensor2D;
    return this.#sinusoid(labels as tf.Tensor1D, this.levels[0]!.channels);
  }

  #embedClass(vectors: tf.Tensor2D): tf.Tensor2D {
    const layers = this.class_embedding;
    return !layers || layers instanceof Embedding ? vectors : layers.forward(vectors);
  }

  /** SDXL: [pooled text | the sinusoid of each time id]. */
  #embedAddition(textEmbeds: tf.Tensor2D, sizes: tf.Tensor2D): tf.Tensor2D {
    const batch = textEmbeds.shape[0];
    return this.add_embedding!.forward(tf.concat([textEmbeds, sizes.reshape<tf.Tensor2D>([batch, -1])], 1));
  }

  #sinusoid(t: tf.Tensor1D, features: number): tf.Tensor2D {
    const { flip_sin_to_cos: flipSinToCos, freq_shift: freqShift } = this.unet;
    return timestepSinusoid(t, features, { flipSinToCos, freqShift });
  }

  #midOnlyCrossAttention(): boolean {
    const { only_cross_attention: only, mid_block_only_cross_attention: mid } = this.unet;
    return mid ?? (typeof only === "boolean" ? only : false);
  }

  #required(key: keyof UNet2DConditionConfig, because: string): number {
    const value = this.unet[key];
    if (typeof value === "number") return value;
    throw new ModelConfigError(
      `${this.name}: ${because} needs ${key}, which is ${JSON.stringify(value)}; give a number.`,
    );
  }
}
