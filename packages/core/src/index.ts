/**
 * What one needs to draw. Everything else is behind a subpath for each folder, such as `@tfjs-diffusion/core/models`;
 * docs/imports.md lists them.
 */
export { type BackendName, type BackendOptions } from "./backend/candidate.js";
export { BackendUnavailableError } from "./backend/errors.js";
export { type ChosenBackend, useBackend } from "./backend/use-backend.js";

export type { Pipeline } from "./pipelines/pipeline.js";
export {
  type AnyPipeline,
  openPipeline,
  type OpenPipelineOptions,
  type TextPipeline,
} from "./pipelines/open-pipeline.js";
export { PipelineFolderError, PipelineOptionError, PipelinePartsError } from "./pipelines/options/errors.js";
export { type StableDiffusionParts, StableDiffusionPipeline } from "./pipelines/stable-diffusion/stable-diffusion.js";
export type { StableDiffusionOptions } from "./pipelines/stable-diffusion/stable-diffusion-options.js";
export {
  type StableDiffusionXLParts,
  StableDiffusionXLPipeline,
} from "./pipelines/stable-diffusion/stable-diffusion-xl.js";
export type { StableDiffusionXLOptions } from "./pipelines/stable-diffusion/stable-diffusion-xl-options.js";
export { StableDiffusionDiffEditPipeline } from "./pipelines/diff-edit/diff-edit.js";
export {
  PixelDiffusionPipeline,
  /** The older name. */
  PixelDiffusionPipeline as TextToImagePipeline,
} from "./pipelines/pixels/pixel-diffusion.js";
export { UnCLIPPipeline } from "./pipelines/unclip/unclip.js";
export { UnCLIPImageVariationPipeline } from "./pipelines/unclip/unclip-image-variation.js";
export type { UnCLIPImageVariationOptions, UnCLIPOptions } from "./pipelines/unclip/unclip-options.js";
export { interpolateImages, interpolatePrompts, slerp } from "./pipelines/interpolation.js";
export type { Control } from "./pipelines/stable-diffusion/control.js";
export { outpaintCanvas, pasteBack } from "./pipelines/stable-diffusion/inpainting.js";

export { imageGrid } from "./image/grid.js";
export { decodeImage, decodeMask } from "./image/decode-image.js";
export { ImageError } from "./image/image-error.js";
export { decodePng } from "./image/png/decode-png.js";
export { encodePng } from "./image/png/encode-png.js";
export { loadModel } from "./models/load-model.js";
export { CLIPTokenizer } from "./text/tokenizer.js";
export { openSafetensors, writeSafetensors } from "./weights/index.js";
export { LoraSet } from "./adapters/lora.js";
