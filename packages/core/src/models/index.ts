/** `@tfjs-diffusion/core/models`: the networks, one class for each class name in a `config.json`. */
export { loadModel, modelFromConfig } from "./load-model.js";
export type { LoadModelOptions, ModelClass, ModelClasses, ModelFromConfigOptions } from "./build-model.js";
export type {
  AddedText,
  ClassLabels,
  ConditionalDenoiser,
  ConditionalDenoiserInputs,
  Denoiser,
  DenoiserInputs,
  DenoiserSizes,
  ImageStates,
  ContextAttention,
} from "./denoiser.js";
export type { FreeU } from "./free-u.js";
export type { ExampleNoise, ExamplePass } from "./example-pass.js";
export { Model } from "./model.js";
export { ModelConfigError, ModelInputError } from "./errors.js";
export type { AutoencoderKLConfig } from "./autoencoder/autoencoder-kl-config.js";
export {
  AutoencoderKL,
  type AutoencoderOptions,
  klToStandardNormal,
  type LatentDistribution,
} from "./autoencoder/autoencoder-kl.js";
export { AutoencoderTiny, type AutoencoderTinyConfig } from "./autoencoder/autoencoder-tiny.js";
export type { Autoencoder } from "./autoencoder/autoencoder.js";
export type { CLIPConfig, CLIPTextConfig, CLIPVisionConfig } from "./clip/clip-config.js";
export { CLIPModel, type CLIPOutput, contrastiveLoss } from "./clip/clip-model.js";
export {
  CLIPTextModel,
  CLIPTextModelWithProjection,
  type CLIPTextOptions,
  type CLIPTextOutput,
} from "./clip/clip-text-model.js";
export { CLIPVisionModel, CLIPVisionModelWithProjection, type CLIPVisionOutput } from "./clip/clip-vision-model.js";
export { type PriorInputs, PriorTransformer, type PriorTransformerConfig } from "./clip/prior-transformer.js";
export {
  type UnCLIPTextProjConfig,
  type UnCLIPTextProjInputs,
  UnCLIPTextProjModel,
  type UnCLIPTextProjOutput,
} from "./clip/unclip-text-proj.js";
export type { ControlNetConfig } from "./unet/controlnet-config.js";
export { ControlNetModel, type ControlNetOptions, type ControlNetOutput } from "./unet/controlnet.js";
export { IPAdapter, type IPAdapterConfig } from "./unet/ip-adapter.js";
export { T2IAdapter, type T2IAdapterConfig } from "./unet/t2i-adapter.js";
export type { UNet2DConfig } from "./unet/unet-2d-config.js";
export { type UNet2DInputs, UNet2DModel } from "./unet/unet-2d.js";
export type { UNet2DConditionConfig } from "./unet/unet-2d-condition-config.js";
export { type UNet2DConditionInputs, UNet2DConditionModel } from "./unet/unet-2d-condition.js";
