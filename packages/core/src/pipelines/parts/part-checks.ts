import type { AutoencoderKL } from "../../models/autoencoder/autoencoder-kl.js";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import { PipelinePartsError } from "../options/errors.js";

/** @throws PipelinePartsError unless `condition` holds; `problem` says how the denoiser does not fit the other parts */
export function requireDenoiser(pipeline: string, condition: boolean, problem: string): asserts condition {
  if (!condition) throw new PipelinePartsError(`${pipeline}: the denoiser (unet) ${problem}`);
}

/**
 * @throws PipelinePartsError unless the denoiser reads the autoencoder's C channels, or 2 C + 1 for inpainting (with a
 *   mask and the masked picture), and returns C
 */
export function requireLatentChannels(
  pipeline: string,
  { inChannels, outChannels }: ConditionalDenoiser,
  vae: AutoencoderKL,
): void {
  const channels = vae.config.latent_channels;
  const forMasks = 2 * channels + 1;
  requireDenoiser(
    pipeline,
    inChannels === channels || inChannels === forMasks,
    `takes ${inChannels} channels; expected ${channels}, as the autoencoder's latents have, or ${forMasks} for inpainting.`,
  );
  requireDenoiser(
    pipeline,
    outChannels === channels,
    `returns ${outChannels} channels; expected ${channels}, as the autoencoder's latents have.`,
  );
}

/**
 * @throws PipelinePartsError unless the denoiser reads text states of the width that the text encoders make together
 */
export function requireTextWidth(pipeline: string, { contextWidth }: ConditionalDenoiser, width: number): void {
  requireDenoiser(
    pipeline,
    contextWidth === width,
    `reads text states of width ${contextWidth}; the text encoder makes ${width}.`,
  );
}
