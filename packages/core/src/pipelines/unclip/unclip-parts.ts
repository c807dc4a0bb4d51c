import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { CLIPImageProcessor } from "../../image/clip-image-processor.js";
import type { CLIPTextModelWithProjection } from "../../models/clip/clip-text-model.js";
import type { CLIPVisionModelWithProjection } from "../../models/clip/clip-vision-model.js";
import type { PriorTransformer } from "../../models/clip/prior-transformer.js";
import type { UnCLIPTextProjModel } from "../../models/clip/unclip-text-proj.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import type { UNet2DModel } from "../../models/unet/unet-2d.js";
import type { CLIPTokenizer } from "../../text/tokenizer.js";
import { PipelinePartsError } from "../options/errors.js";
import type { PartRequirement } from "../files/model-index.js";
import type { PipelineFolder, PipelineParts } from "../files/pipeline-folder.js";

/** What draws pictures of image embeddings. */
export interface UnCLIPDrawingParts {
  textEncoder: CLIPTextModelWithProjection;
  tokenizer: CLIPTokenizer;
  /** Brings embeddings and text to the form that the decoder reads. */
  textProj: UnCLIPTextProjModel;
  /** Draws a small picture. */
  decoder: UNet2DConditionModel;
  /** Enlarges it, in all steps but the last. */
  superResFirst: UNet2DModel;
  superResLast: UNet2DModel;
  decoderScheduler: Scheduler;
  superResScheduler: Scheduler;
}

/** What UnCLIPPipeline is made of. */
export interface UnCLIPParts extends UnCLIPDrawingParts {
  /** Makes an image embedding of a text. */
  prior: PriorTransformer;
  priorScheduler: Scheduler;
}

/** What UnCLIPImageVariationPipeline is made of. */
export interface UnCLIPImageVariationParts extends UnCLIPDrawingParts {
  imageEncoder: CLIPVisionModelWithProjection;
  featureExtractor: CLIPImageProcessor;
}

const SCHEDULER = { className: "UnCLIPScheduler" };

/** Of both pipelines, as `model_index.json` names them. */
export const DRAWING_PARTS = {
  text_encoder: { className: "CLIPTextModelWithProjection" },
  tokenizer: { className: "CLIPTokenizer" },
  text_proj: { className: "UnCLIPTextProjModel" },
  decoder: { className: "UNet2DConditionModel" },
  super_res_first: { className: "UNet2DModel" },
  super_res_last: { className: "UNet2DModel" },
  decoder_scheduler: SCHEDULER,
  super_res_scheduler: SCHEDULER,
} satisfies Record<string, PartRequirement>;

/** Reads {@link DRAWING_PARTS}. */
export async function readDrawingParts(folder: PipelineFolder): Promise<UnCLIPDrawingParts> {
  return {
    tokenizer: await folder.tokenizer(),
    decoderScheduler: await folder.scheduler("decoder_scheduler"),
    superResScheduler: await folder.scheduler("super_res_scheduler"),
    textEncoder: await folder.model<CLIPTextModelWithProjection>("text_encoder"),
    textProj: await folder.model<UnCLIPTextProjModel>("text_proj"),
    decoder: await folder.model<UNet2DConditionModel>("decoder"),
    superResFirst: await folder.model<UNet2DModel>("super_res_first"),
    superResLast: await folder.model<UNet2DModel>("super_res_last"),
  };
}

/** The same by the names of their subfolders. */
export function drawingFolders(parts: UnCLIPDrawingParts): PipelineParts {
  const { textEncoder, tokenizer, textProj, decoder, superResFirst, superResLast } = parts;
  return {
    ...{ text_encoder: textEncoder, tokenizer, text_proj: textProj, decoder },
    ...{ super_res_first: superResFirst, super_res_last: superResLast },
    ...{ decoder_scheduler: parts.decoderScheduler, super_res_scheduler: parts.superResScheduler },
  };
}

/** Numbers that the parts of a pipeline fix. */
export interface UnCLIPFacts {
  /** Numbers in an embedding. */
  width: number;
  /** Height, width and channels of the decoder's pictures. */
  small: [number, number, number];
  /** The same of the enlarged ones. */
  large: [number, number, number];
}

/** Sizes of what the parts give each other. */
export function unclipFacts({ textProj, decoder, superResFirst }: UnCLIPDrawingParts): UnCLIPFacts {
  const channels = decoder.config.in_channels;
  return {
    width: textProj.config.clip_embeddings_dim,
    small: [...sizeOf(decoder), channels],
    large: [...sizeOf(superResFirst), channels],
  };
}

function sizeOf({ config: { sample_size: size } }: UNet2DConditionModel | UNet2DModel): [number, number] {
  const [height, width = height] = [size].flat() as [number, number?];
  return [height, width];
}

/** @throws PipelinePartsError that says which parts do not fit each other */
export function requireDrawingParts(pipeline: string, parts: UnCLIPDrawingParts): void {
  const { textEncoder, textProj, decoder, superResFirst, superResLast } = parts;
  const { clip_embeddings_dim, cross_attention_dim, time_embed_dim } = textProj.config;
  const { in_channels: channels, block_out_channels, class_embed_type } = decoder.config;
  const same = sameIn(pipeline);
  same("the text encoder's states and embeddings", textEncoder.config.hidden_size, clip_embeddings_dim);
  same("the text encoder's projection_dim and text_proj", textEncoder.config.projection_dim, clip_embeddings_dim);
  same("the decoder's cross_attention_dim and text_proj's", decoder.config.cross_attention_dim, cross_attention_dim);
  same("the decoder's class_embed_type", class_embed_type, "identity");
  const timeWidth = decoder.config.time_embedding_dim ?? 4 * block_out_channels[0]!;
  same("the decoder's time embedding and text_proj's", timeWidth, time_embed_dim);
  same(
    "the decoder's out_channels, with a variance for each of in_channels",
    decoder.config.out_channels,
    2 * channels,
  );
  const learns = /^learned/.test(String(parts.decoderScheduler.config.variance_type));
  same("the decoder scheduler's learned variance", learns, true);
  for (const [name, { config }] of Object.entries({ super_res_first: superResFirst, super_res_last: superResLast })) {
    same(`${name}'s in_channels, for a picture and a small one`, config.in_channels, 2 * channels);
    same(`${name}'s out_channels`, config.out_channels, channels);
  }
  for (const [name, network] of Object.entries({ decoder, super_res_first: superResFirst })) {
    same(`${name}'s sample_size, which must be given:`, network.config.sample_size === null, false);
  }
  same(
    "the sample_size of super_res_last and super_res_first",
    sizeOf(superResLast).join(" x "),
    sizeOf(superResFirst).join(" x "),
  );
}

/** @throws PipelinePartsError */
export function requirePrior(pipeline: string, { prior, textProj, textEncoder }: UnCLIPParts): void {
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
      `${pipeline}: ${what} do not fit: ${String(given)}; ${String(wanted)} is needed. Use the parts of one model.`,
    );
  };
}
