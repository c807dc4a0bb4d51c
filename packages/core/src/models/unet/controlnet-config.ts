import { count, flag, listOf, oneOf, type SchemaOf } from "../../weights/config-schema.js";
import { resolveConfig } from "../config.js";
import { CONDITION_SCHEMA, resolveConditionConfig, type UNet2DConditionConfig } from "./unet-2d-condition-config.js";

/** The keys that a ControlNet shares with the UNet that it copies. */
const SHARED = [
  "in_channels",
  "flip_sin_to_cos",
  "freq_shift",
  "down_block_types",
  "mid_block_type",
  "only_cross_attention",
  "block_out_channels",
  "layers_per_block",
  "downsample_padding",
  "mid_block_scale_factor",
  "act_fn",
  "norm_num_groups",
  "norm_eps",
  "cross_attention_dim",
  "transformer_layers_per_block",
  "encoder_hid_dim",
  "encoder_hid_dim_type",
  "attention_head_dim",
  "num_attention_heads",
  "use_linear_projection",
  "class_embed_type",
  "addition_embed_type",
  "addition_time_embed_dim",
  "num_class_embeds",
  "upcast_attention",
  "resnet_time_scale_shift",
  "projection_class_embeddings_input_dim",
  "addition_embed_type_num_heads",
] as const satisfies (keyof UNet2DConditionConfig)[];

type Shared = Pick<UNet2DConditionConfig, (typeof SHARED)[number]>;

/** `config.json` of a ControlNetModel, as diffusers writes it. */
export interface ControlNetConfig extends Shared {
  _class_name: "ControlNetModel";
  /** Channels of the control picture. */
  conditioning_channels: number;
  /** Widths of the layers that reduce the control picture to the latents' size, halving it between each two. */
  conditioning_embedding_out_channels: number[];
  controlnet_conditioning_channel_order: "rgb" | "bgr";
  /** Average each residual over the picture. */
  global_pool_conditions: boolean;
}

function pickShared<T extends object>(from: T): Pick<T, Extract<keyof T, keyof Shared>> {
  return Object.fromEntries(SHARED.filter((key) => key in from).map((key) => [key, from[key as keyof T]])) as T;
}

const SCHEMA: SchemaOf<ControlNetConfig> = {
  ...pickShared(CONDITION_SCHEMA),
  _class_name: oneOf("ControlNetModel", ["ControlNetModel"]),
  conditioning_channels: count(3),
  conditioning_embedding_out_channels: listOf(count([16, 32, 96, 256])),
  controlnet_conditioning_channel_order: oneOf("rgb", ["rgb", "bgr"]),
  global_pool_conditions: flag(false),
};

export function resolveControlNetConfig(given: Partial<ControlNetConfig>): ControlNetConfig {
  return resolveConfig("ControlNetModel", given, SCHEMA);
}

/** The config of a ControlNet that copies a UNet. */
export function controlNetConfigFor(unet: Partial<UNet2DConditionConfig>): Partial<ControlNetConfig> {
  return pickShared(unet);
}

/** The config of the UNet whose way down it copies. The up blocks only have to be valid; they are never built. */
export function unetConfigOf(config: ControlNetConfig): UNet2DConditionConfig {
  const up_block_types = config.down_block_types.map(() => "UpBlock2D" as const);
  return resolveConditionConfig({ ...pickShared(config), up_block_types });
}
