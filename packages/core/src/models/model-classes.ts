import { AutoencoderKL } from "./autoencoder-kl.js";
import { CLIPModel } from "./clip-model.js";
import { CLIPTextModel, CLIPTextModelWithProjection } from "./clip-text-model.js";
import { CLIPVisionModel, CLIPVisionModelWithProjection } from "./clip-vision-model.js";
import { ControlNetModel } from "./controlnet.js";
import type { Model } from "./model.js";
import { PriorTransformer } from "./prior-transformer.js";
import { UnCLIPTextProjModel } from "./unclip-text-proj.js";
import { UNet2DConditionModel } from "./unet-2d-condition.js";
import { UNet2DModel } from "./unet-2d.js";

type ModelClass = new (config: Record<string, unknown>) => Model;

/** The networks that a `config.json` can name. */
export const MODEL_CLASSES: Readonly<Record<string, ModelClass>> = {
  AutoencoderKL,
  CLIPModel,
  CLIPTextModel,
  CLIPTextModelWithProjection,
  CLIPVisionModel,
  CLIPVisionModelWithProjection,
  ControlNetModel,
  PriorTransformer,
  UnCLIPTextProjModel,
  UNet2DConditionModel,
  UNet2DModel,
};
