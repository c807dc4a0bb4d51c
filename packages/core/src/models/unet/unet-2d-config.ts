import { type ActivationName, activationNames } from "../../nn/activations.js";
import {
  count,
  flag,
  layers,
  listOf,
  number,
  oneOf,
  orNull,
  perLevel,
  type SchemaOf,
} from "../../weights/config-schema.js";
import { resolveConfig } from "../config.js";

export type DownBlockType = "DownBlock2D" | "AttnDownBlock2D" | "ResnetDownsampleBlock2D";
export type UpBlockType = "UpBlock2D" | "AttnUpBlock2D" | "ResnetUpsampleBlock2D";

/** `config.json` of a UNet2DModel, as diffusers writes it. Lists are per level, from the finest. */
export interface UNet2DConfig {
  _class_name: "UNet2DModel";
  sample_size: number | [number, number] | null;
  in_channels: number;
  out_channels: number;
  /** Maps the input x to 2 x - 1. */
  center_input_sample: boolean;
  time_embedding_type: "positional";
  time_embedding_dim: number | null;
  freq_shift: number;
  flip_sin_to_cos: boolean;
  down_block_types: DownBlockType[];
  mid_block_type: "UNetMidBlock2D" | null;
  up_block_types: UpBlockType[];
  block_out_channels: number[];
  layers_per_block: number;
  mid_block_scale_factor: number;
  /** 0 pads a strided convolution by one on the right and bottom only. */
  downsample_padding: number;
  /** How blocks with attention change the resolution; for other blocks the name says it. */
  downsample_type: "conv" | "resnet";
  upsample_type: "conv" | "resnet";
  dropout: number;
  act_fn: ActivationName;
  /** The size of a head; null: one head. */
  attention_head_dim: number | null;
  norm_num_groups: number;
  attn_norm_num_groups: number | null;
  norm_eps: number;
  resnet_time_scale_shift: "default" | "scale_shift";
  /** Whether the middle block has attention. */
  add_attention: boolean;
  class_embed_type: "timestep" | "identity" | null;
  num_class_embeds: number | null;
  num_train_timesteps: number | null;
}

const SCHEMA: SchemaOf<UNet2DConfig> = {
  _class_name: oneOf("UNet2DModel", ["UNet2DModel"]),
  sample_size: perLevel(orNull(count(null))),
  in_channels: count(3),
  out_channels: count(3),
  center_input_sample: flag(false),
  time_embedding_type: oneOf("positional", ["positional"]),
  time_embedding_dim: orNull(count(null)),
  freq_shift: number(0),
  flip_sin_to_cos: flag(true),
  down_block_types: listOf(
    oneOf<DownBlockType, DownBlockType[]>(
      ["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
      ["DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D"],
    ),
  ),
  mid_block_type: oneOf("UNetMidBlock2D", ["UNetMidBlock2D", null]),
  up_block_types: listOf(
    oneOf<UpBlockType, UpBlockType[]>(
      ["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
      ["UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"],
    ),
  ),
  block_out_channels: listOf(count([224, 448, 672, 896])),
  layers_per_block: layers(2),
  mid_block_scale_factor: number(1),
  downsample_padding: number(1),
  downsample_type: oneOf("conv", ["conv", "resnet"]),
  upsample_type: oneOf("conv", ["conv", "resnet"]),
  dropout: number(0),
  act_fn: oneOf("silu", activationNames),
  attention_head_dim: orNull(count(8)),
  norm_num_groups: count(32),
  attn_norm_num_groups: orNull(count(null)),
  norm_eps: number(1e-5),
  resnet_time_scale_shift: oneOf("default", ["default", "scale_shift"]),
  add_attention: flag(true),
  class_embed_type: oneOf(null, ["timestep", "identity", null]),
  num_class_embeds: orNull(count(null)),
  num_train_timesteps: orNull(number(null)),
};

export function resolveUNet2DConfig(given: Partial<UNet2DConfig>): UNet2DConfig {
  return resolveConfig("UNet2DModel", given, SCHEMA);
}
