import type { CLIPTextConfig } from "../models/clip/clip-config.js";
import type { AutoencoderKLConfig } from "../models/autoencoder/autoencoder-kl-config.js";
import type { UNet2DConditionConfig } from "../models/unet/unet-2d-condition-config.js";
import { WeightsFormatError } from "../weights/errors.js";
import type { SafetensorsFile } from "../weights/safetensors.js";

/** The published families of latent diffusion models that come as one file. */
export type CheckpointFamily = "sd1" | "sd2" | "sdxl" | "sdxl-refiner";

/** The prefixes of the networks in a single file, and their configs. */
export interface FamilyLayout {
  unet: Partial<UNet2DConditionConfig>;
  vae: Partial<AutoencoderKLConfig>;
  /** By their names in a diffusers folder. */
  textEncoders: Partial<Record<"text_encoder" | "text_encoder_2", TextEncoderLayout>>;
  /** The contents of its `scheduler_config.json`. */
  scheduler: Record<string, unknown>;
}

/** A text encoder inside a single file. */
export interface TextEncoderLayout {
  prefix: string;
  /** Whose names its parameters have. */
  names: "transformers" | "openclip";
  className: "CLIPTextModel" | "CLIPTextModelWithProjection";
  config: Partial<CLIPTextConfig>;
}

export const UNET_PREFIX = "model.diffusion_model.";
export const VAE_PREFIXES = ["first_stage_model.", "vae."] as const;

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
const BETAS = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear", num_train_timesteps: 1000 };
const PNDM = { _class_name: "PNDMScheduler", ...BETAS, skip_prk_steps: true, set_alpha_to_one: false, steps_offset: 1 };
const DDIM = { _class_name: "DDIMScheduler", ...BETAS, clip_sample: false, set_alpha_to_one: false, steps_offset: 1 };
const EULER = { _class_name: "EulerDiscreteScheduler", ...BETAS, timestep_spacing: "leading", steps_offset: 1 };

const textTower = (
  prefix: string,
  names: TextEncoderLayout["names"],
  config: Partial<CLIPTextConfig>,
  isProjecting = false,
) => ({ prefix, names, config, className: isProjecting ? "CLIPTextModelWithProjection" : "CLIPTextModel" }) as const;

export const FAMILIES: Readonly<Record<CheckpointFamily, FamilyLayout>> = {
  sd1: {
    unet: { cross_attention_dim: 768, sample_size: 64 },
    vae: VAE,
    textEncoders: { text_encoder: textTower("cond_stage_model.transformer.", "transformers", CLIP_L) },
    scheduler: { ...PNDM, prediction_type: "epsilon" },
  },
  sd2: {
    unet: {
      cross_attention_dim: 1024,
      sample_size: 96,
      attention_head_dim: [5, 10, 20, 20],
      use_linear_projection: true,
    },
    vae: { ...VAE, sample_size: 768 },
    textEncoders: { text_encoder: textTower("cond_stage_model.model.", "openclip", OPENCLIP_H) },
    scheduler: { ...DDIM, prediction_type: "v_prediction" },
  },
  sdxl: {
    unet: SDXL_UNET,
    vae: { ...VAE, sample_size: 1024, scaling_factor: 0.13025 },
    textEncoders: {
      text_encoder: textTower("conditioner.embedders.0.transformer.", "transformers", CLIP_L),
      text_encoder_2: textTower("conditioner.embedders.1.model.", "openclip", OPENCLIP_G, true),
    },
    scheduler: { ...EULER, prediction_type: "epsilon" },
  },
  "sdxl-refiner": {
    unet: REFINER_UNET,
    vae: { ...VAE, sample_size: 1024, scaling_factor: 0.13025 },
    textEncoders: { text_encoder_2: textTower("conditioner.embedders.0.model.", "openclip", OPENCLIP_G, true) },
    scheduler: { ...EULER, prediction_type: "epsilon" },
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

/**
 * The family of a single file, from the names of its tensors.
 *
 * @throws WeightsFormatError if it holds no UNet in the original layout, or no text encoder that shows the family
 */
export function checkpointFamily({ name, tensors }: SafetensorsFile): CheckpointFamily {
  const has = (prefix: string) => [...tensors.keys()].some((key) => key.startsWith(prefix));
  if (has(UNET_PREFIX)) {
    // The most specific first: a refiner's only text tower has the name of the base model's first.
    for (const family of ["sdxl", "sdxl-refiner", "sd2", "sd1"] as const) {
      const { textEncoders } = FAMILIES[family];
      if (Object.values(textEncoders).every(({ prefix }) => has(prefix))) return family;
    }
  }
  throw new WeightsFormatError(
    `${name}: not a whole checkpoint of Stable Diffusion 1, 2 or XL; it has ${tensors.size} tensors, such as ` +
      `${[...tensors.keys()].slice(0, 3).join(", ")}. Give a file with ${UNET_PREFIX}… and its text encoder, or a folder of diffusers.`,
  );
}
