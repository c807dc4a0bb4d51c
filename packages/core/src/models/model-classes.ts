import { AutoencoderKL } from "./autoencoder/autoencoder-kl.js";
import { AutoencoderTiny } from "./autoencoder/autoencoder-tiny.js";
import { CLIPModel } from "./clip/clip-model.js";
import { CLIPTextModel, CLIPTextModelWithProjection } from "./clip/clip-text-model.js";
import { CLIPVisionModel, CLIPVisionModelWithProjection } from "./clip/clip-vision-model.js";
import { ControlNetModel } from "./unet/controlnet.js";
import { IPAdapter } from "./unet/ip-adapter.js";
import type { ModelClasses } from "./build-model.js";
import { PriorTransformer } from "./clip/prior-transformer.js";
import { UnCLIPTextProjModel } from "./clip/unclip-text-proj.js";
import { T2IAdapter } from "./unet/t2i-adapter.js";
import { UNet2DConditionModel } from "./unet/unet-2d-condition.js";
import { UNet2DModel } from "./unet/unet-2d.js";

/** The networks that a `config.json` can name. */
export const MODEL_CLASSES: ModelClasses = {
  AutoencoderKL,
  AutoencoderTiny,
  CLIPModel,
  CLIPTextModel,
  CLIPTextModelWithProjection,
  CLIPVisionModel,
  CLIPVisionModelWithProjection,
  ControlNetModel,
  IPAdapter,
  PriorTransformer,
  UnCLIPTextProjModel,
  T2IAdapter,
  UNet2DConditionModel,
  UNet2DModel,
};
