import type { PriorTransformerConfig, UNet2DConditionConfig, UNet2DConfig } from "@tfjs-diffusion/core/models";
import type { UnCLIPConfig } from "@tfjs-diffusion/schedulers";
import { CONTEXT_LENGTH } from "../../datasets/faces/index.js";
import { PORTRAIT_SIZE } from "../../datasets/portraits/index.js";
import { TEXT_WIDTH } from "../clip-config.js";

/** Height and width of the pictures that the decoder draws; the enlarger doubles them. */
export const SMALL_SIZE = PORTRAIT_SIZE / 2;

/** Denoises CLIP embeddings: 1.4 million parameters. */
export const PRIOR_CONFIG = {
  num_attention_heads: 5,
  attention_head_dim: 32,
  num_layers: 4,
  embedding_dim: TEXT_WIDTH,
  num_embeddings: CONTEXT_LENGTH,
  additional_embeddings: 4,
} satisfies Partial<PriorTransformerConfig>;

const DECODER_CHANNELS = [64, 96];

/** Draws pictures of 16 x 16 from embeddings and text; half of its outputs are variances. */
export const DECODER_CONFIG = {
  sample_size: SMALL_SIZE,
  in_channels: 3,
  out_channels: 6,
  block_out_channels: DECODER_CHANNELS,
  layers_per_block: 1,
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D"],
  cross_attention_dim: TEXT_WIDTH,
  attention_head_dim: 4,
  use_linear_projection: true,
  norm_num_groups: 8,
  resnet_time_scale_shift: "scale_shift",
  class_embed_type: "identity",
} satisfies Partial<UNet2DConditionConfig>;

/** Turns embeddings and text states into the decoder's inputs. */
export const TEXT_PROJ_CONFIG = {
  clip_extra_context_tokens: 4,
  clip_embeddings_dim: TEXT_WIDTH,
  time_embed_dim: 4 * DECODER_CHANNELS[0]!,
  cross_attention_dim: TEXT_WIDTH,
};

/** Enlarges pictures to 32 x 32; it sees the noisy picture and the small one, six channels. */
export const ENLARGER_CONFIG = {
  sample_size: PORTRAIT_SIZE,
  in_channels: 6,
  out_channels: 3,
  block_out_channels: [32, 48],
  layers_per_block: 1,
  down_block_types: ["ResnetDownsampleBlock2D", "ResnetDownsampleBlock2D"],
  up_block_types: ["ResnetUpsampleBlock2D", "ResnetUpsampleBlock2D"],
  add_attention: false,
  norm_num_groups: 8,
  resnet_time_scale_shift: "scale_shift",
} satisfies Partial<UNet2DConfig>;

/** The prior predicts the embedding itself (Ramesh et al. 2022, section 2.2). */
export const PRIOR_SCHEDULER = {
  prediction_type: "sample",
  variance_type: "fixed_small_log",
  clip_sample_range: 5,
} satisfies Partial<UnCLIPConfig>;

export const DECODER_SCHEDULER = {
  prediction_type: "epsilon",
  variance_type: "learned_range",
} satisfies Partial<UnCLIPConfig>;

export const ENLARGER_SCHEDULER = {
  prediction_type: "epsilon",
  variance_type: "fixed_small_log",
} satisfies Partial<UnCLIPConfig>;
