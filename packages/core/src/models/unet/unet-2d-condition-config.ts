import { type ActivationName, activationNames } from "../../nn/activations.js";
import {
  count,
  flag,
  layers,
  listOf,
  number,
  oneOf,
  orNull,
  perLayer,
  perLevel,
  type SchemaOf,
} from "../../weights/config-schema.js";
import { eachLevel, resolveConfig } from "../config.js";
import { ModelConfigError } from "../errors.js";

export type ConditionDownBlockType =
  "DownBlock2D" | "CrossAttnDownBlock2D" | "AttnDownBlock2D" | "ResnetDownsampleBlock2D" | "SimpleCrossAttnDownBlock2D";

export type ConditionUpBlockType =
  "UpBlock2D" | "CrossAttnUpBlock2D" | "AttnUpBlock2D" | "ResnetUpsampleBlock2D" | "SimpleCrossAttnUpBlock2D";

export type ConditionMidBlockType = "UNetMidBlock2DCrossAttn" | "UNetMidBlock2DSimpleCrossAttn" | "UNetMidBlock2D";

/** `config.json` of a UNet2DConditionModel, as diffusers writes it. Lists are per level, from the finest. */
export interface UNet2DConditionConfig {
  _class_name: "UNet2DConditionModel";
  sample_size: number | [number, number] | null;
  in_channels: number;
  out_channels: number;
  /** Maps the input x to 2 x - 1. */
  center_input_sample: boolean;
  flip_sin_to_cos: boolean;
  freq_shift: number;
  down_block_types: ConditionDownBlockType[];
  mid_block_type: ConditionMidBlockType | null;
  up_block_types: ConditionUpBlockType[];
  only_cross_attention: boolean | boolean[];
  mid_block_only_cross_attention: boolean | null;
  block_out_channels: number[];
  layers_per_block: number | number[];
  /** 0 pads a strided convolution by one on the right and bottom only. */
  downsample_padding: number;
  mid_block_scale_factor: number;
  dropout: number;
  act_fn: ActivationName;
  norm_num_groups: number;
  norm_eps: number;
  cross_attention_dim: number | number[];
  transformer_layers_per_block: number | (number | number[])[];
  reverse_transformer_layers_per_block: (number | number[])[] | null;
  encoder_hid_dim: number | null;
  encoder_hid_dim_type: "text_proj" | null;
  /** The **number of heads** of transformer blocks, whatever its name says; the size of a head elsewhere. */
  attention_head_dim: number | (number | null)[] | null;
  num_attention_heads: null;
  dual_cross_attention: false;
  use_linear_projection: boolean;
  /** How `classLabels` become a vector that is added to the time embedding. */
  class_embed_type: "timestep" | "identity" | "projection" | "simple_projection" | null;
  addition_embed_type: "text_time" | null;
  addition_time_embed_dim: number | null;
  num_class_embeds: number | null;
  upcast_attention: boolean | null;
  resnet_time_scale_shift: "default" | "scale_shift";
  resnet_skip_time_act: false;
  resnet_out_scale_factor: 1;
  time_embedding_type: "positional";
  time_embedding_dim: number | null;
  time_embedding_act_fn: ActivationName | null;
  timestep_post_act: ActivationName | null;
  time_cond_proj_dim: number | null;
  conv_in_kernel: number;
  conv_out_kernel: number;
  projection_class_embeddings_input_dim: number | null;
  attention_type: "default";
  class_embeddings_concat: boolean;
  cross_attention_norm: null;
  /** Read only by embeddings that are not supported here. */
  addition_embed_type_num_heads: number;
}

export const CONDITION_SCHEMA: SchemaOf<UNet2DConditionConfig> = {
  _class_name: oneOf("UNet2DConditionModel", ["UNet2DConditionModel"]),
  sample_size: perLevel(orNull(count(null))),
  in_channels: count(4),
  out_channels: count(4),
  center_input_sample: flag(false),
  flip_sin_to_cos: flag(true),
  freq_shift: number(0),
  down_block_types: listOf(
    oneOf<ConditionDownBlockType, ConditionDownBlockType[]>(
      ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
      [
        "DownBlock2D",
        "CrossAttnDownBlock2D",
        "AttnDownBlock2D",
        "ResnetDownsampleBlock2D",
        "SimpleCrossAttnDownBlock2D",
      ],
    ),
  ),
  mid_block_type: oneOf("UNetMidBlock2DCrossAttn", [
    "UNetMidBlock2DCrossAttn",
    "UNetMidBlock2DSimpleCrossAttn",
    "UNetMidBlock2D",
    null,
  ]),
  up_block_types: listOf(
    oneOf<ConditionUpBlockType, ConditionUpBlockType[]>(
      ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
      ["UpBlock2D", "CrossAttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D"],
    ),
  ),
  only_cross_attention: perLevel(flag(false)),
  mid_block_only_cross_attention: flag(null),
  block_out_channels: listOf(count([320, 640, 1280, 1280])),
  layers_per_block: perLevel(layers(2)),
  downsample_padding: number(1),
  mid_block_scale_factor: number(1),
  dropout: number(0),
  act_fn: oneOf("silu", activationNames),
  norm_num_groups: count(32),
  norm_eps: number(1e-5),
  cross_attention_dim: perLevel(count(1280)),
  transformer_layers_per_block: perLayer(layers(1)),
  reverse_transformer_layers_per_block: orNull(perLayer(layers(null))),
  encoder_hid_dim: orNull(count(null)),
  encoder_hid_dim_type: oneOf(null, ["text_proj", null]),
  attention_head_dim: perLevel(orNull(count(8))),
  num_attention_heads: oneOf(null, [null]),
  dual_cross_attention: oneOf(false, [false]),
  use_linear_projection: flag(false),
  class_embed_type: oneOf(null, ["timestep", "identity", "projection", "simple_projection", null]),
  addition_embed_type: oneOf(null, ["text_time", null]),
  addition_time_embed_dim: orNull(count(null)),
  num_class_embeds: orNull(count(null)),
  upcast_attention: flag(false),
  resnet_time_scale_shift: oneOf("default", ["default", "scale_shift"]),
  resnet_skip_time_act: oneOf(false, [false]),
  resnet_out_scale_factor: oneOf(1, [1]),
  time_embedding_type: oneOf("positional", ["positional"]),
  time_embedding_dim: orNull(count(null)),
  time_embedding_act_fn: oneOf(null, [...activationNames, null]),
  timestep_post_act: oneOf(null, [...activationNames, null]),
  time_cond_proj_dim: orNull(count(null)),
  conv_in_kernel: count(3),
  conv_out_kernel: count(3),
  projection_class_embeddings_input_dim: orNull(count(null)),
  attention_type: oneOf("default", ["default"]),
  class_embeddings_concat: flag(false),
  cross_attention_norm: oneOf(null, [null]),
  addition_embed_type_num_heads: count(64),
};

/** The settings of one level of the network, with every per-level list expanded. */
export interface ConditionLevel {
  downType: ConditionDownBlockType;
  /** The block of the way up **at this resolution**. */
  upType: ConditionUpBlockType;
  channels: number;
  layers: number;
  contextChannels: number;
  /** `attention_head_dim`, as written in the config, on the way down and up. */
  headSetting: number | null;
  upHeadSetting: number | null;
  /** Transformer blocks after each residual block, on the way down and up. */
  downTransformers: number | number[];
  upTransformers: number | number[];
  onlyCrossAttention: boolean;
}

export function resolveConditionConfig(given: Partial<UNet2DConditionConfig>): UNet2DConditionConfig {
  return resolveConfig("UNet2DConditionModel", given, CONDITION_SCHEMA);
}

/**
 * Expands the config's per-level lists, finest level first.
 * @throws ModelConfigError if their lengths differ
 */
export function conditionLevels(model: string, config: UNet2DConditionConfig): ConditionLevel[] {
  const depth = config.down_block_types.length;
  if (depth === 0) throw new ModelConfigError(`${model}: down_block_types is empty; give at least one level.`);
  const each = <T>(key: string, value: T | readonly T[]) => eachLevel(model, key, value, depth);
  const channels = each("block_out_channels", config.block_out_channels);
  const upTypes = each("up_block_types", config.up_block_types).reverse();
  const layers = each("layers_per_block", config.layers_per_block);
  const contextChannels = each("cross_attention_dim", config.cross_attention_dim);
  const heads = each("attention_head_dim", config.attention_head_dim);
  const onlyCross = each("only_cross_attention", config.only_cross_attention);
  const transformers = each<number | number[]>("transformer_layers_per_block", config.transformer_layers_per_block);
  const reversed = config.reverse_transformer_layers_per_block;
  if (!reversed && transformers.some((entry) => Array.isArray(entry))) {
    throw new ModelConfigError(
      `${model}: transformer_layers_per_block has a list for one level, whose order on the way up is not defined; ` +
        "give reverse_transformer_layers_per_block as well.",
    );
  }
  const upTransformers = reversed
    ? each<number | number[]>("reverse_transformer_layers_per_block", reversed).reverse()
    : transformers;
  requireFewBlocks(model, layers, [transformers, upTransformers]);
  return each("down_block_types", config.down_block_types).map((downType, i) => ({
    downType,
    upType: upTypes[i]!,
    channels: channels[i]!,
    layers: layers[i]!,
    contextChannels: contextChannels[i]!,
    headSetting: heads[i]!,
    // If the list has sizes of heads instead of numbers of heads, diffusers reads it from the coarsest level.
    upHeadSetting: upTypes[i] === "CrossAttnUpBlock2D" ? heads[i]! : heads[depth - 1 - i]!,
    downTransformers: transformers[i]!,
    upTransformers: upTransformers[i]!,
    onlyCrossAttention: onlyCross[i]!,
  }));
}

const MOST_BLOCKS = 10_000;

/** Limits the product of layers and transformer blocks, which can exhaust the memory even if both are moderate. */
function requireFewBlocks(
  model: string,
  layers: readonly number[],
  transformers: readonly (readonly (number | number[])[])[],
): void {
  const most = Math.max(...transformers.flat(2));
  const blocks = layers.reduce((sum, count) => sum + count * most, 0);
  if (blocks <= MOST_BLOCKS) return;
  throw new ModelConfigError(
    `${model}: layers_per_block and transformer_layers_per_block give ${blocks} transformer blocks; at most ${MOST_BLOCKS} are allowed.`,
  );
}
