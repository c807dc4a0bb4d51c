import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { Autoencoder } from "../../models/autoencoder/autoencoder.js";
import type { CLIPTextModel, CLIPTextModelWithProjection } from "../../models/clip/clip-text-model.js";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import type { CLIPTokenizer } from "../../text/tokenizer.js";
import { PipelinePartsError } from "../options/errors.js";
import { whyNotToDraw } from "../options/sampler-checks.js";

/** @throws PipelinePartsError unless `condition` holds; `problem` says how the denoiser does not fit the other parts */
export function requireDenoiser(pipeline: string, condition: boolean, problem: string): asserts condition {
  if (!condition) throw new PipelinePartsError(`${pipeline}: the denoiser (unet) ${problem}`);
}

/** How many channels a denoiser reads besides latents of so many. */
export type FurtherChannels = (latentChannels: number) => number;

/**
 * @param further how many channels it may read besides latents of C; default: 0, or C + 1 for inpainting (a mask and
 *   the masked picture)
 * @throws PipelinePartsError unless the denoiser reads that many, and returns C
 */
export function requireLatentChannels(
  pipeline: string,
  { inChannels, outChannels }: ConditionalDenoiser,
  vae: Autoencoder,
  further?: FurtherChannels,
): void {
  const channels = vae.config.latent_channels;
  const forMasks = 2 * channels + 1;
  const expected = further ? [channels + further(channels)] : [channels, forMasks];
  requireDenoiser(
    pipeline,
    expected.includes(inChannels),
    further
      ? `takes ${inChannels} channels; expected ${expected.join()}, of which the autoencoder's latents have ${channels}.`
      : `takes ${inChannels} channels; expected ${channels}, as the autoencoder's latents have, or ${forMasks} for inpainting.`,
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

/**
 * @param name the part's name
 * @param predictsVariance whether its network also predicts variances
 * @throws PipelinePartsError if the sampler cannot draw from noise with its network; the option `scheduler` has the
 *   same rule
 */
export function requireSampler(pipeline: string, name: string, scheduler: Scheduler, predictsVariance = false): void {
  const reason = whyNotToDraw(scheduler, predictsVariance);
  if (!reason) return;
  throw new PipelinePartsError(`${pipeline}: ${name}: ${scheduler.config._class_name} ${reason}; use another.`);
}

/**
 * @throws PipelinePartsError if the tokenizer has ids that the encoder knows no vector for; textual inversion may leave
 *   the encoder with more vectors than the tokenizer has ids
 */
export function requireVocabulary(
  pipeline: string,
  names: readonly [tokenizer: string, encoder: string],
  tokenizer: CLIPTokenizer,
  encoder: CLIPTextModel | CLIPTextModelWithProjection,
): void {
  const { vocab_size } = encoder.config;
  const { largestId } = tokenizer;
  if (largestId < vocab_size) return;
  throw new PipelinePartsError(
    `${pipeline}: ${names[0]} gives ids up to ${largestId}; ${names[1]} knows those below ${vocab_size}. ` +
      "Use the tokenizer and the text encoder of one model.",
  );
}
