import type { FixedParts } from "../folder.js";
import { portraitVocabulary, SCHEDULER_CONFIG } from "./settings.js";

export const fixedParts = (): FixedParts => ({
  vocabulary: portraitVocabulary(),
  tokenizers: ["tokenizer", "tokenizer_2"],
  scheduler: SCHEDULER_CONFIG,
  index: {
    _class_name: "StableDiffusionXLPipeline",
    // In training, an empty caption had the states of "", not zeros.
    force_zeros_for_empty_prompt: false,
    scheduler: ["diffusers", SCHEDULER_CONFIG._class_name],
    text_encoder: ["transformers", "CLIPTextModel"],
    text_encoder_2: ["transformers", "CLIPTextModelWithProjection"],
    tokenizer: ["transformers", "CLIPTokenizer"],
    tokenizer_2: ["transformers", "CLIPTokenizer"],
    unet: ["diffusers", "UNet2DConditionModel"],
    vae: ["diffusers", "AutoencoderKL"],
  },
});
