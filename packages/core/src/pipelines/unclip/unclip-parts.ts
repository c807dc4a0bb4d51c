import type { Scheduler } from "@tfjs-diffusion/schedulers";
import { CLIPImageProcessor } from "../../image/clip-image-processor.js";
import { CLIPTextModelWithProjection } from "../../models/clip/clip-text-model.js";
import { CLIPVisionModelWithProjection } from "../../models/clip/clip-vision-model.js";
import { PriorTransformer } from "../../models/clip/prior-transformer.js";
import { UnCLIPTextProjModel } from "../../models/clip/unclip-text-proj.js";
import type { ClassLabels, ConditionalDenoiser, Denoiser } from "../../models/denoiser.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import { PipelinePartsError } from "../options/errors.js";
import { UNet2DModel } from "../../models/unet/unet-2d.js";
import { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import type { PartRequirements } from "../files/model-index.js";
import type { PipelineFolder } from "../files/pipeline-folder.js";
import type { PipelineParts } from "../files/save-pipeline-folder.js";
import { CONDITIONAL_DENOISER, DENOISER, instanceOf, type PartKinds, SCHEDULER } from "../parts/live-parts.js";
import { requireSampler, requireVocabulary } from "../parts/part-checks.js";

/** The parts that draw pictures from image embeddings. */
export interface UnCLIPDrawingParts {
  textEncoder: CLIPTextModelWithProjection;
  tokenizer: CLIPTokenizer;
  /** Projects embeddings and text states to the inputs of the decoder. */
  textProj: UnCLIPTextProjModel;
  /** Draws a small picture. */
  decoder: ConditionalDenoiser;
  /** Enlarges it, in all steps but the last. */
  superResFirst: Denoiser;
  superResLast: Denoiser;
  /** The decoder predicts variances as well; a sampler that does not read them, such as DDIM, gets the rest. */
  decoderScheduler: Scheduler;
  superResScheduler: Scheduler;
}

/** The parts of UnCLIPPipeline. */
export interface UnCLIPParts extends UnCLIPDrawingParts {
  /** Makes an image embedding from a text. */
  prior: PriorTransformer;
  priorScheduler: Scheduler;
}

/** The parts of UnCLIPImageVariationPipeline. */
export interface UnCLIPImageVariationParts extends UnCLIPDrawingParts {
  imageEncoder: CLIPVisionModelWithProjection;
  featureExtractor: CLIPImageProcessor;
}

const DRAWING_KINDS: PartKinds<UnCLIPDrawingParts> = {
  textEncoder: instanceOf(CLIPTextModelWithProjection, "a CLIPTextModelWithProjection"),
  tokenizer: instanceOf(CLIPTokenizer, "a CLIPTokenizer"),
  textProj: instanceOf(UnCLIPTextProjModel, "an UnCLIPTextProjModel"),
  decoder: CONDITIONAL_DENOISER,
  superResFirst: DENOISER,
  superResLast: DENOISER,
  decoderScheduler: SCHEDULER,
  superResScheduler: SCHEDULER,
};

export const UNCLIP_KINDS: PartKinds<UnCLIPParts> = {
  ...DRAWING_KINDS,
  prior: instanceOf(PriorTransformer, "a PriorTransformer"),
  priorScheduler: SCHEDULER,
};

export const VARIATION_KINDS: PartKinds<UnCLIPImageVariationParts> = {
  ...DRAWING_KINDS,
  imageEncoder: instanceOf(CLIPVisionModelWithProjection, "a CLIPVisionModelWithProjection"),
  featureExtractor: instanceOf(CLIPImageProcessor, "a CLIPImageProcessor"),
};

/** The parts of both pipelines, as `model_index.json` names them. */
export const DRAWING_PARTS = {
  text_encoder: { networks: { CLIPTextModelWithProjection } },
  tokenizer: { className: "CLIPTokenizer" },
  text_proj: { networks: { UnCLIPTextProjModel } },
  decoder: { networks: { UNet2DConditionModel } },
  super_res_first: { networks: { UNet2DModel } },
  super_res_last: { networks: { UNet2DModel } },
  decoder_scheduler: {},
  super_res_scheduler: {},
} satisfies PartRequirements;

/** Reads {@link DRAWING_PARTS}. */
export async function readDrawingParts(folder: PipelineFolder): Promise<UnCLIPDrawingParts> {
  return {
    tokenizer: await folder.tokenizer(),
    decoderScheduler: await folder.scheduler("decoder_scheduler"),
    superResScheduler: await folder.scheduler("super_res_scheduler"),
    textEncoder: await folder.model<CLIPTextModelWithProjection>("text_encoder"),
    textProj: await folder.model<UnCLIPTextProjModel>("text_proj"),
    decoder: await folder.model<ConditionalDenoiser>("decoder"),
    superResFirst: await folder.model<Denoiser>("super_res_first"),
    superResLast: await folder.model<Denoiser>("super_res_last"),
  };
}

/** The parts by the names of their subfolders. */
export function drawingFolders(parts: UnCLIPDrawingParts): PipelineParts {
  const { textEncoder, tokenizer, textProj, decoder, superResFirst, superResLast } = parts;
  return {
    text_encoder: textEncoder,
    tokenizer,
    text_proj: textProj,
    decoder,
    super_res_first: superResFirst,
    super_res_last: superResLast,
    decoder_scheduler: parts.decoderScheduler,
    super_res_scheduler: parts.superResScheduler,
  };
}

/** Sizes that the parts of a pipeline fix. */
export interface UnCLIPSizes {
  /** Width of an embedding. */
  width: number;
  /** Height, width and channels of the decoder's pictures. */
  small: [number, number, number];
  /** Height, width and channels of the enlarged pictures. */
  large: [number, number, number];
}

/** Reads the sizes from the parts. */
export function unclipSizes({ textProj, decoder, superResFirst }: UnCLIPDrawingParts): UnCLIPSizes {
  const channels = decoder.inChannels;
  return {
    width: textProj.config.clip_embeddings_dim,
    small: [...decoder.sampleSize!, channels],
    large: [...superResFirst.sampleSize!, channels],
  };
}

/** @throws PipelinePartsError that says which parts do not fit each other */
export function requireDrawingParts(pipeline: string, parts: UnCLIPDrawingParts): void {
  const { tokenizer, textEncoder, textProj, decoder, superResFirst, superResLast } = parts;
  const { clip_embeddings_dim, cross_attention_dim, time_embed_dim } = textProj.config;
  const { inChannels: channels, classLabels } = decoder;
  const same = sameIn(pipeline);
  same("the text encoder's states and embeddings", textEncoder.config.hidden_size, clip_embeddings_dim);
  same("the text encoder's projection_dim and text_proj", textEncoder.config.projection_dim, clip_embeddings_dim);
  same("the decoder's context and text_proj's cross_attention_dim", decoder.contextWidth, cross_attention_dim);
  same("the decoder's class labels", classLabels?.kind, "vectors");
  same("the decoder's class labels and text_proj's time_embed_dim", widthOf(classLabels), time_embed_dim);
  same("the decoder's outChannels, twice its inChannels (with variances),", decoder.outChannels, 2 * channels);
  requireVocabulary(pipeline, ["tokenizer", "textEncoder"], tokenizer, textEncoder);
  // The decoder predicts variances, for samplers that read them; any other sampler gets the prediction alone.
  requireSampler(pipeline, "decoderScheduler", parts.decoderScheduler, true);
  requireSampler(pipeline, "superResScheduler", parts.superResScheduler);
  for (const [name, network] of Object.entries({ super_res_first: superResFirst, super_res_last: superResLast })) {
    same(`${name}'s inChannels, for a picture and a small one`, network.inChannels, 2 * channels);
    same(`${name}'s outChannels`, network.outChannels, channels);
    same(`${name}'s class labels`, network.classLabels?.kind, undefined);
  }
  for (const [name, { sampleSize }] of Object.entries({ decoder, super_res_first: superResFirst })) {
    same(`${name}'s sample_size, which must be given:`, sampleSize === undefined, false);
  }
  same(
    "the sample_size of super_res_last and super_res_first",
    superResLast.sampleSize?.join(" x "),
    superResFirst.sampleSize?.join(" x "),
  );
}

function widthOf(labels: ClassLabels | undefined): number | undefined {
  return labels?.kind === "vectors" ? labels.width : undefined;
}

/** @throws PipelinePartsError */
export function requirePrior(pipeline: string, { prior, priorScheduler, textProj, textEncoder }: UnCLIPParts): void {
  requireSampler(pipeline, "priorScheduler", priorScheduler);
  const same = sameIn(pipeline);
  const width = textProj.config.clip_embeddings_dim;
  const { embedding_dim, embedding_proj_dim, clip_embed_dim, num_embeddings } = prior.config;
  same("the prior's embedding_dim and text_proj's", embedding_dim, width);
  same("the prior's embedding_proj_dim and text_proj's", embedding_proj_dim ?? width, width);
  same("the prior's clip_embed_dim and text_proj's", clip_embed_dim ?? width, width);
  same("the prior's tokens and the text encoder's", num_embeddings, textEncoder.config.max_position_embeddings);
}

/** @throws PipelinePartsError */
export function requireImageEncoder(pipeline: string, parts: UnCLIPImageVariationParts): void {
  const same = sameIn(pipeline);
  const { projection_dim, image_size } = parts.imageEncoder.config;
  same("the image encoder's projection_dim and text_proj's", projection_dim, parts.textProj.config.clip_embeddings_dim);
  const size = parts.featureExtractor.outputSize;
  if (size)
    same(
      "the feature extractor's crop_size and the image encoder's image_size",
      size.join(" x "),
      `${image_size} x ${image_size}`,
    );
}

function sameIn(pipeline: string) {
  return (what: string, given: unknown, wanted: unknown): void => {
    if (given === wanted) return;
    throw new PipelinePartsError(
      `${pipeline}: ${what} do not fit: ${String(given)}; expected ${String(wanted)}. Use the parts of one model.`,
    );
  };
}
