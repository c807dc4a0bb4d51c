import type { AutoencoderKL } from "../../models/autoencoder/autoencoder-kl.js";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import { PipelinePartsError } from "../options/errors.js";

/** @throws PipelinePartsError that says what about the denoiser does not fit the other parts */
export function requireDenoiser(pipeline: string, condition: boolean, problem: string): asserts condition {
  if (!condition) throw new PipelinePartsError(`${pipeline}: the denoiser (unet) ${problem}`);
}

/**
 * @throws PipelinePartsError if the denoiser does not work on the autoencoder's latents, alone or with a mask and a
 *   masked picture
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
    `takes ${inChannels} channels; the autoencoder's latents have ${channels}, and ${forMasks} are for inpainting.`,
  );
  requireDenoiser(
    pipeline,
    outChannels === channels,
    `returns ${outChannels} channels; the autoencoder's latents have ${channels}.`,
  );
}

/** @throws PipelinePartsError if the denoiser reads states of another width than the text encoders make together */
export function requireTextWidth(pipeline: string, { contextWidth }: ConditionalDenoiser, width: number): void {
  requireDenoiser(
    pipeline,
    contextWidth === width,
    `reads text states of ${contextWidth} numbers; the text encoder makes ${width}.`,
  );
}
