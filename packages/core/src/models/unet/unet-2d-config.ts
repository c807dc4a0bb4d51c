import { type ActivationName, activationNames } from "../../nn/activations.js";
import { resolveConfig, type SupportedValues } from "../config.js";

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

const DEFAULTS: UNet2DConfig = {
  _class_name: "UNet2DModel",
  sample_size: null,
  in_channels: 3,
  out_channels: 3,
  center_input_sample: false,
  time_embedding_type: "positional",
  time_embedding_dim: null,
  freq_shift: 0,
  flip_sin_to_cos: true,
  down_block_types: ["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
  mid_block_type: "UNetMidBlock2D",
  up_block_types: ["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
  block_out_channels: [224, 448, 672, 896],
  layers_per_block: 2,
  mid_block_scale_factor: 1,
  downsample_padding: 1,
  downsample_type: "conv",
  upsample_type: "conv",
  dropout: 0,
  act_fn: "silu",
  attention_head_dim: 8,
  norm_num_groups: 32,
  attn_norm_num_groups: null,
  norm_eps: 1e-5,
  resnet_time_scale_shift: "default",
  add_attention: true,
  class_embed_type: null,
  num_class_embeds: null,
  num_train_timesteps: null,
};

const SUPPORTED: SupportedValues<UNet2DConfig> = {
  time_embedding_type: ["positional"],
  down_block_types: ["DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D"],
  up_block_types: ["UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"],
  mid_block_type: ["UNetMidBlock2D", null],
  downsample_type: ["conv", "resnet"],
  upsample_type: ["conv", "resnet"],
  act_fn: activationNames,
  resnet_time_scale_shift: ["default", "scale_shift"],
  class_embed_type: ["timestep", "identity", null],
};

export function resolveUNet2DConfig(given: Partial<UNet2DConfig>): UNet2DConfig {
  return resolveConfig("UNet2DModel", given, DEFAULTS, { supported: SUPPORTED });
}
