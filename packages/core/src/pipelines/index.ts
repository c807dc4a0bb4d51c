/** `@tfjs-diffusion/core/pipelines`: pipelines that draw pictures from a prompt, a picture, a class or noise. */
export * from "./kinds.js";
export {
  type AnyPipeline,
  openPipeline,
  type OpenPipelineOptions,
  pipelineClassOf,
  type TextPipeline,
} from "./open-pipeline.js";
export { NonFiniteResultError } from "./drawing/errors.js";
export { PipelineFolderError, PipelineOptionError, PipelinePartsError } from "./options/errors.js";
export type { Pipeline, PipelineInput } from "./pipeline.js";
export type { Drawn, PipelineStep } from "./pipeline-step.js";
export type { CommonOptions, TextOptions } from "./options/common-options.js";
export { type Flag, type Option, type OptionTable, takesOption } from "./options/option.js";
export { guide } from "@tfjs-diffusion/schedulers";
export type { ModelFiles, ModelPlace } from "../platform/model-files.js";
export type { FromPretrainedOptions } from "./files/pipeline-folder.js";
export { type Borders, outpaintCanvas, pasteBack } from "./stable-diffusion/inpainting.js";
export type {
  DiffEditInvertOptions,
  DiffEditMaskOptions,
  DiffEditOptions,
  DiffEditSettings,
  DiffEditStep,
} from "./diff-edit/diff-edit-options.js";
export type { DiffEditParts, DiffEditSchedulers } from "./diff-edit/diff-edit-parts.js";
export { StableDiffusionDiffEditPipeline } from "./diff-edit/diff-edit.js";
export {
  interpolateImages,
  interpolatePrompts,
  type InterpolationFrame,
  type InterpolationOptions,
  lerp,
  slerp,
  slerpNoise,
} from "./interpolation.js";
