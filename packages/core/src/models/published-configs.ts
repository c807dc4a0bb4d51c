import type { AutoencoderKLConfig } from "./autoencoder/autoencoder-kl-config.js";
import type { CLIPTextConfig } from "./clip/clip-config.js";
import type { UNet2DConditionConfig } from "./unet/unet-2d-condition-config.js";

/** The published families of latent diffusion models that come as one file. */
export type CheckpointFamily = "sd1" | "sd2" | "sdxl" | "sdxl-refiner";

/** The `config.json` of a family's networks, without what is as by default. */
export interface PublishedConfigs {
  unet: Partial<UNet2DConditionConfig>;
  vae: Partial<AutoencoderKLConfig>;
  /** By their names in a diffusers folder. */
  textEncoders: Partial<Record<"text_encoder" | "text_encoder_2", PublishedTextEncoder>>;
}

/** A text encoder of a family. */
export interface PublishedTextEncoder {
  className: "CLIPTextModel" | "CLIPTextModelWithProjection";
  config: Partial<CLIPTextConfig>;
}

const VAE: Partial<AutoencoderKLConfig> = {
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array<"DownEncoderBlock2D">(4).fill("DownEncoderBlock2D"),
  up_block_types: Array<"UpDecoderBlock2D">(4).fill("UpDecoderBlock2D"),
  layers_per_block: 2,
  sample_size: 512,
};
const CLIP_L: Partial<CLIPTextConfig> = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_attention_heads: 12,
  projection_dim: 768,
};
const OPENCLIP_H: Partial<CLIPTextConfig> = {
  hidden_size: 1024,
  intermediate_size: 4096,
  num_attention_heads: 16,
  num_hidden_layers: 23,
  hidden_act: "gelu",
  projection_dim: 512,
};
const OPENCLIP_G: Partial<CLIPTextConfig> = {
  hidden_size: 1280,
  intermediate_size: 5120,
  num_attention_heads: 20,
  num_hidden_layers: 32,
  hidden_act: "gelu",
  projection_dim: 1280,
};
const SDXL_UNET: Partial<UNet2DConditionConfig> = {
  sample_size: 128,
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  block_out_channels: [320, 640, 1280],
  attention_head_dim: [5, 10, 20],
  transformer_layers_per_block: [1, 2, 10],
  cross_attention_dim: 2048,
  use_linear_projection: true,
  addition_embed_type: "text_time",
  addition_time_embed_dim: 256,
  projection_class_embeddings_input_dim: 2816,
};
const REFINER_UNET: Partial<UNet2DConditionConfig> = {
  ...SDXL_UNET,
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  block_out_channels: [384, 768, 1536, 1536],
  attention_head_dim: [6, 12, 24, 24],
  transformer_layers_per_block: 4,
  cross_attention_dim: 1280,
  projection_class_embeddings_input_dim: 2560,
};

const CLIP_L_ENCODER = { className: "CLIPTextModel", config: CLIP_L } as const;
const OPENCLIP_G_ENCODER = { className: "CLIPTextModelWithProjection", config: OPENCLIP_G } as const;
const XL_VAE = { ...VAE, sample_size: 1024, scaling_factor: 0.13025 };

export const PUBLISHED: Readonly<Record<CheckpointFamily, PublishedConfigs>> = {
  sd1: {
    unet: { cross_attention_dim: 768, sample_size: 64 },
    vae: VAE,
    textEncoders: { text_encoder: CLIP_L_ENCODER },
  },
  sd2: {
    unet: {
      cross_attention_dim: 1024,
      sample_size: 96,
      attention_head_dim: [5, 10, 20, 20],
      use_linear_projection: true,
    },
    vae: { ...VAE, sample_size: 768 },
    textEncoders: { text_encoder: { className: "CLIPTextModel", config: OPENCLIP_H } },
  },
  sdxl: {
    unet: SDXL_UNET,
    vae: XL_VAE,
    textEncoders: { text_encoder: CLIP_L_ENCODER, text_encoder_2: OPENCLIP_G_ENCODER },
  },
  "sdxl-refiner": {
    unet: REFINER_UNET,
    vae: XL_VAE,
    textEncoders: { text_encoder_2: OPENCLIP_G_ENCODER },
  },
};

/** Width of the text states that cross-attention reads in each family. */
const CONTEXT_WIDTHS: Readonly<Record<number, CheckpointFamily>> = {
  768: "sd1",
  1024: "sd2",
  1280: "sdxl-refiner",
  2048: "sdxl",
};

/** The family whose UNet reads text states of this width. */
export function familyOfWidth(width: number | undefined): CheckpointFamily | undefined {
  return width === undefined ? undefined : CONTEXT_WIDTHS[width];
}
