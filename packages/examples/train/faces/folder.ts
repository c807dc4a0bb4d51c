import { vocabulary } from "../../datasets/faces/index.js";
import type { FixedParts } from "../folder.js";
import { SCHEDULER_CONFIG } from "./settings.js";

export const fixedParts = (): FixedParts => ({
  vocabulary: vocabulary(),
  tokenizers: ["tokenizer"],
  scheduler: SCHEDULER_CONFIG,
  index: {
    _class_name: "PixelDiffusionPipeline",
    scheduler: ["diffusers", SCHEDULER_CONFIG._class_name],
    text_encoder: ["transformers", "CLIPTextModel"],
    text_encoder_2: ["transformers", "CLIPTextModelWithProjection"],
    tokenizer: ["transformers", "CLIPTokenizer"],
    unet: ["diffusers", "UNet2DConditionModel"],
  },
});
