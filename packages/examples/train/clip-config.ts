import type { CLIPConfig } from "@tfjs-diffusion/core/models";
import { CONTEXT_LENGTH, END_OF_TEXT, START_OF_TEXT, type Vocabulary } from "../datasets/faces/index.js";

/** Width of the text tower's states, and of the space that pictures and captions are projected to. */
export const TEXT_WIDTH = 128;

/**
 * A small CLIP: two towers of three layers. Both text towers of a model have this shape: the frozen one, trained with
 * pictures, and its copy that learns with the UNet. By default `patchSize` gives sixteen patches per picture: smaller
 * patches show too little to learn from.
 */
export function smallClipConfig({ vocab }: Vocabulary, imageSize: number, patchSize = imageSize / 4) {
  const tower = {
    hidden_size: TEXT_WIDTH,
    intermediate_size: 4 * TEXT_WIDTH,
    num_attention_heads: 4,
    hidden_act: "quick_gelu" as const,
    // Larger than usual, so that even an untrained text tower distinguishes captions.
    initializer_factor: 3,
    projection_dim: TEXT_WIDTH,
  };
  return {
    projection_dim: TEXT_WIDTH,
    logit_scale_init_value: 2.6592,
    text_config: {
      ...tower,
      num_hidden_layers: 3,
      vocab_size: Object.keys(vocab).length,
      max_position_embeddings: CONTEXT_LENGTH,
      bos_token_id: vocab[START_OF_TEXT]!,
      eos_token_id: vocab[END_OF_TEXT]!,
      pad_token_id: vocab[END_OF_TEXT]!,
    },
    vision_config: { ...tower, num_hidden_layers: 3, image_size: imageSize, patch_size: patchSize, num_channels: 3 },
  } satisfies Partial<CLIPConfig>;
}
