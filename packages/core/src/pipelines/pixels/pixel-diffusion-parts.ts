import type { Scheduler } from "@tfjs-diffusion/schedulers";
import { CLIPTextModel, CLIPTextModelWithProjection } from "../../models/clip/clip-text-model.js";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import { CONDITIONAL_DENOISER, instanceOf, optional, type PartKinds, SCHEDULER } from "../parts/live-parts.js";
import { requireDenoiser, requireSampler, requireTextWidth, requireVocabulary } from "../parts/part-checks.js";

/** The parts of a text-to-image pipeline in pixel space. */
export interface PixelDiffusionParts {
  /** Works on pixels: has as many output channels as input channels. */
  unet: ConditionalDenoiser;
  /** Its last hidden states are the denoiser's context. */
  textEncoder: CLIPTextModel;
  /** Its projected sentence vector is the class label of a denoiser that takes one (`class_embed_type` projection). */
  textEncoder2?: CLIPTextModelWithProjection;
  tokenizer: CLIPTokenizer;
  scheduler: Scheduler;
}

export const PART_KINDS: PartKinds<PixelDiffusionParts> = {
  unet: CONDITIONAL_DENOISER,
  textEncoder: instanceOf(CLIPTextModel, "a CLIPTextModel"),
  textEncoder2: optional(instanceOf(CLIPTextModelWithProjection, "a CLIPTextModelWithProjection")),
  tokenizer: instanceOf(CLIPTokenizer, "a CLIPTokenizer"),
  scheduler: SCHEDULER,
};

const NAME = "PixelDiffusionPipeline";

/** @throws PipelinePartsError if the denoiser does not fit the outputs of the text encoders */
export function requireFittingParts(parts: PixelDiffusionParts): void {
  const { unet, textEncoder, textEncoder2, tokenizer, scheduler } = parts;
  const { inChannels, outChannels, sampleSize, classLabels } = unet;
  requireDenoiser(
    NAME,
    inChannels === outChannels,
    `takes ${inChannels} channels and returns ${outChannels}; a network of pixels needs equal numbers.`,
  );
  requireDenoiser(
    NAME,
    sampleSize !== undefined,
    "has no sampleSize (sample_size in its config); set it to the height of the pictures it was trained on.",
  );
  requireSampler(NAME, "scheduler", scheduler);
  requireVocabulary(NAME, ["tokenizer", "textEncoder"], tokenizer, textEncoder);
  if (textEncoder2) requireVocabulary(NAME, ["tokenizer", "textEncoder2"], tokenizer, textEncoder2);
  requireTextWidth(NAME, unet, textEncoder.config.hidden_size);
  if (textEncoder2 === undefined) {
    return requireDenoiser(
      NAME,
      classLabels === undefined,
      `needs class labels (${classLabels?.kind}), which come from a second text encoder; give textEncoder2.`,
    );
  }
  requireDenoiser(
    NAME,
    classLabels?.kind === "vectors",
    `needs ${classLabels ? `class labels that are ${classLabels.kind}` : "no class labels"}, not a sentence ` +
      "vector; leave textEncoder2 out.",
  );
  const given = textEncoder2.config.projection_dim;
  requireDenoiser(
    NAME,
    classLabels.width === given,
    `takes a sentence vector of width ${classLabels.width}; the second text encoder makes ${given}.`,
  );
}

/** Height, width and channels of the pictures that a network was trained on. */
export function pictureShape({ sampleSize, inChannels }: ConditionalDenoiser): [number, number, number] {
  return [...sampleSize!, inChannels];
}
