import { StableDiffusionPipeline } from "./stable-diffusion/stable-diffusion.js";
import { StableDiffusionDepth2ImgPipeline } from "./stable-diffusion/depth-to-image.js";
import { StableDiffusionInstructPix2PixPipeline } from "./stable-diffusion/instruct-pix2pix.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion/stable-diffusion-xl.js";
import { PixelDiffusionPipeline } from "./pixels/pixel-diffusion.js";
import { DDIMPipeline, DDPMPipeline } from "./pixels/ddpm.js";
import { UnCLIPPipeline } from "./unclip/unclip.js";
import { UnCLIPImageVariationPipeline } from "./unclip/unclip-image-variation.js";

/**
 * The pipelines that openPipeline opens: a new one gets a line here, and is exported below with its types. Each states
 * its `folder` and its `options` before one is opened. Of two that have the same parts, the earlier one opens
 * folders that name neither.
 */
export const PIPELINE_CLASSES = [
  StableDiffusionPipeline,
  StableDiffusionXLPipeline,
  StableDiffusionInstructPix2PixPipeline,
  StableDiffusionDepth2ImgPipeline,
  PixelDiffusionPipeline,
  DDPMPipeline,
  DDIMPipeline,
  UnCLIPPipeline,
  UnCLIPImageVariationPipeline,
] as const;

/** One of them. */
export type PipelineClass = (typeof PIPELINE_CLASSES)[number];

export type { StableDiffusionFileOptions } from "./files/pipeline-file.js";
export { type DepthOptions, StableDiffusionDepth2ImgPipeline } from "./stable-diffusion/depth-to-image.js";
export { type Pix2PixOptions, StableDiffusionInstructPix2PixPipeline } from "./stable-diffusion/instruct-pix2pix.js";
export type { GuidanceStep } from "./drawing/step-guidance.js";
export type { AdapterInput } from "./stable-diffusion/adapter.js";
export type { IPAdapterInput } from "./stable-diffusion/ip-adapter.js";
export { ipAdapterEmbeds } from "./stable-diffusion/ip-adapter-states.js";
export type { Control } from "./stable-diffusion/control.js";
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
