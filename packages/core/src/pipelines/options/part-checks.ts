import type { AutoencoderKL } from "../../models/autoencoder/autoencoder-kl.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { PipelinePartsError } from "./errors.js";

/** @throws PipelinePartsError that says what about the UNet does not fit the other parts */
export function requireUNet(pipeline: string, condition: boolean, problem: string): asserts condition {
  if (!condition) throw new PipelinePartsError(`${pipeline}: the UNet ${problem}`);
}

/**
 * @throws PipelinePartsError if the UNet does not work on the autoencoder's latents, alone or with a mask and a masked
 * picture
 */
export function requireLatentChannels(pipeline: string, unet: UNet2DConditionModel, vae: AutoencoderKL): void {
  const { in_channels, out_channels } = unet.config;
  const channels = vae.config.latent_channels;
  const forMasks = 2 * channels + 1;
  requireUNet(
    pipeline,
    in_channels === channels || in_channels === forMasks,
    `takes ${in_channels} channels; the autoencoder's latents have ${channels}, and ${forMasks} are for inpainting.`,
  );
  requireUNet(
    pipeline,
    out_channels === channels,
    `returns ${out_channels} channels; the autoencoder's latents have ${channels}.`,
  );
}

/**
 * @throws PipelinePartsError if the UNet's cross-attention reads states of another width than the text encoders make
 * together
 */
export function requireTextWidth(pipeline: string, unet: UNet2DConditionModel, width: number): void {
  const widths = [unet.config.cross_attention_dim].flat();
  requireUNet(
    pipeline,
    widths.every((wanted) => wanted === width),
    `reads text states of ${widths.join(", ")} numbers; the text encoder makes ${width}.`,
  );
}
