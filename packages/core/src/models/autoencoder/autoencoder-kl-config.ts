import { type ActivationName, activationNames } from "../../nn/activations.js";
import { ModelConfigError } from "../errors.js";
import { count, flag, layers, listOf, number, oneOf, orNull, type SchemaOf } from "../../weights/config-schema.js";
import { eachLevel, resolveConfig } from "../config.js";

/** `config.json` of an AutoencoderKL, as diffusers writes it. Lists are per level, from the finest. */
export interface AutoencoderKLConfig {
  _class_name: "AutoencoderKL";
  in_channels: number;
  out_channels: number;
  down_block_types: "DownEncoderBlock2D"[];
  up_block_types: "UpDecoderBlock2D"[];
  block_out_channels: number[];
  layers_per_block: number;
  act_fn: ActivationName;
  latent_channels: number;
  norm_num_groups: number;
  sample_size: number;
  /** A diffusion model's latents are (z - shift_factor) * scaling_factor; `encode` and `decode` do not apply them. */
  scaling_factor: number;
  shift_factor: number | null;
  /**
   * Each channel's mean and standard deviation (both or neither), used together with the scale in place of the shift.
   */
  latents_mean: number[] | null;
  latents_std: number[] | null;
  /** Float16 overflows in this autoencoder; everything here is float32. */
  force_upcast: boolean;
  use_quant_conv: boolean;
  use_post_quant_conv: boolean;
  mid_block_add_attention: boolean;
}

const SCHEMA: SchemaOf<AutoencoderKLConfig> = {
  _class_name: oneOf("AutoencoderKL", ["AutoencoderKL"]),
  in_channels: count(3),
  out_channels: count(3),
  down_block_types: listOf(oneOf(["DownEncoderBlock2D"], ["DownEncoderBlock2D"])),
  up_block_types: listOf(oneOf(["UpDecoderBlock2D"], ["UpDecoderBlock2D"])),
  block_out_channels: listOf(count([64])),
  layers_per_block: layers(1),
  act_fn: oneOf("silu", activationNames),
  latent_channels: count(4),
  norm_num_groups: count(32),
  sample_size: count(32),
  scaling_factor: number(0.18215),
  shift_factor: orNull(number(null)),
  latents_mean: orNull(listOf(number(null))),
  latents_std: orNull(listOf(number(null))),
  force_upcast: flag(true),
  use_quant_conv: flag(true),
  use_post_quant_conv: flag(true),
  mid_block_add_attention: flag(true),
};

export function resolveAutoencoderConfig(given: Partial<AutoencoderKLConfig>): AutoencoderKLConfig {
  const config = resolveConfig("AutoencoderKL", given, SCHEMA);
  for (const key of ["down_block_types", "up_block_types"] as const) {
    eachLevel("AutoencoderKL", key, config[key] as string[], config.block_out_channels.length);
  }
  requireStatistics(config);
  return config;
}

function requireStatistics({
  latents_mean: mean,
  latents_std: std,
  latent_channels: channels,
}: AutoencoderKLConfig): void {
  if (mean === null && std === null) return;
  const isFine = (list: unknown) => Array.isArray(list) && list.length === channels && list.every(Number.isFinite);
  if (isFine(mean) && isFine(std) && std!.every((deviation) => deviation > 0)) return;
  throw new ModelConfigError(
    `AutoencoderKL: latents_mean = ${JSON.stringify(mean)}, latents_std = ${JSON.stringify(std)}; ` +
      `expected ${channels} numbers each, latents_std above 0, or null for both.`,
  );
}
