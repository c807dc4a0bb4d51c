import { vocabulary } from "../../datasets/faces/index.js";
import type { FixedParts } from "../folder.js";
import type { FacesSettings } from "./settings.js";

export const fixedParts = ({ scheduler }: Pick<FacesSettings, "scheduler">): FixedParts => ({
  vocabulary: vocabulary(),
  tokenizers: ["tokenizer"],
  scheduler,
  index: {
    _class_name: "PixelDiffusionPipeline",
    scheduler: ["diffusers", scheduler._class_name],
    text_encoder: ["transformers", "CLIPTextModel"],
    text_encoder_2: ["transformers", "CLIPTextModelWithProjection"],
    tokenizer: ["transformers", "CLIPTokenizer"],
    unet: ["diffusers", "UNet2DConditionModel"],
  },
});
