/** `@tfjs-diffusion/core/pipelines`: pipelines that draw pictures from a prompt, a picture, a class or noise. */
export {
  type AnyPipeline,
  openPipeline,
  type OpenPipelineOptions,
  PIPELINE_CLASSES,
  type PipelineClass,
  pipelineClassOf,
  type TextPipeline,
} from "./open-pipeline.js";
export { NonFiniteResultError } from "./drawing/finite-results.js";
export { PipelineFolderError, PipelineOptionError, PipelinePartsError } from "./options/errors.js";
export type { Pipeline, PipelineInput } from "./pipeline.js";
export type { Drawn, PipelineStep } from "./pipeline-step.js";
export type { CommonOptions, TextOptions } from "./options/common-options.js";
export { type Flag, type Option, type OptionTable, takesOption } from "./options/option.js";
export { guide } from "@tfjs-diffusion/schedulers";
export type { FromPretrainedOptions } from "./files/pipeline-folder.js";
export type { StableDiffusionFileOptions } from "./files/pipeline-file.js";
export type { Control } from "./stable-diffusion/control.js";
export { type Borders, outpaintCanvas, pasteBack } from "./stable-diffusion/inpainting.js";
export type { LatentPipelineParts, PromptStates } from "./stable-diffusion/latent-pipeline.js";
export type {
  PromptOptions,
  StableDiffusionOptions,
  StableDiffusionStep,
} from "./stable-diffusion/stable-diffusion-options.js";
export { type StableDiffusionParts, StableDiffusionPipeline } from "./stable-diffusion/stable-diffusion.js";
export type { PixelPair, StableDiffusionXLOptions } from "./stable-diffusion/stable-diffusion-xl-options.js";
export {
  type StableDiffusionXLFileOptions,
  type StableDiffusionXLParts,
  StableDiffusionXLPipeline,
} from "./stable-diffusion/stable-diffusion-xl.js";
export type { LoraResolver } from "./stable-diffusion/prompt-loras.js";
export type { EncodePromptsOptions, PromptReading } from "./stable-diffusion/text-conditioning.js";
export type { PixelDiffusionOptions, PixelDiffusionStep } from "./pixels/pixel-diffusion-options.js";
export type { PixelDiffusionParts } from "./pixels/pixel-diffusion-parts.js";
/** Older names. */
export type {
  PixelDiffusionOptions as TextToImageOptions,
  PixelDiffusionStep as TextToImageStep,
} from "./pixels/pixel-diffusion-options.js";
export type { PixelDiffusionParts as TextToImageParts } from "./pixels/pixel-diffusion-parts.js";
export { DDIMPipeline, type DDPMParts, DDPMPipeline } from "./pixels/ddpm.js";
export type { DDPMOptions, DDPMStep } from "./pixels/ddpm-options.js";
export {
  PixelDiffusionPipeline,
  /** The older name. */
  PixelDiffusionPipeline as TextToImagePipeline,
} from "./pixels/pixel-diffusion.js";
export type {
  DiffEditInvertOptions,
  DiffEditMaskOptions,
  DiffEditOptions,
  DiffEditSettings,
  DiffEditStep,
} from "./diff-edit/diff-edit-options.js";
export type { DiffEditParts, DiffEditSchedulers } from "./diff-edit/diff-edit-parts.js";
export { StableDiffusionDiffEditPipeline } from "./diff-edit/diff-edit.js";
export { UnCLIPImageVariationPipeline } from "./unclip/unclip-image-variation.js";
export type {
  UnCLIPDrawingOptions,
  UnCLIPImageVariationOptions,
  UnCLIPOptions,
  UnCLIPStage,
  UnCLIPStep,
} from "./unclip/unclip-options.js";
export type { UnCLIPDrawingParts, UnCLIPImageVariationParts, UnCLIPParts } from "./unclip/unclip-parts.js";
export { UnCLIPDrawingPipeline } from "./unclip/unclip-pipeline.js";
export type { TextStates } from "./unclip/unclip-text.js";
export { UnCLIPPipeline } from "./unclip/unclip.js";
export {
  interpolateImages,
  interpolatePrompts,
  type InterpolationFrame,
  type InterpolationOptions,
  lerp,
  slerp,
  slerpNoise,
} from "./interpolation.js";
