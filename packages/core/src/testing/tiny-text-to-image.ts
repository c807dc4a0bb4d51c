import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip/clip-text-model.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import type { PixelDiffusionParts } from "../pipelines/pixels/pixel-diffusion-parts.js";
import { CLIPTokenizer } from "../text/tokenizer.js";

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];
const TOKENS = [...LETTERS, ...LETTERS.map((letter) => `${letter}</w>`), "<|startoftext|>", "<|endoftext|>"];

const TEXT = {
  vocab_size: TOKENS.length,
  max_position_embeddings: 12,
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  projection_dim: 8,
  bos_token_id: TOKENS.length - 2,
  eos_token_id: TOKENS.length - 1,
};

const UNET = {
  sample_size: 8,
  in_channels: 3,
  out_channels: 3,
  block_out_channels: [8, 16],
  layers_per_block: 1,
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"] as ["DownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D"] as ["CrossAttnUpBlock2D", "UpBlock2D"],
  cross_attention_dim: TEXT.hidden_size,
  attention_head_dim: 2,
  norm_num_groups: 4,
};

/**
 * All parts of a text-to-image pipeline, as small as they can be, with random weights; with `sentence`, the UNet also
 * takes the vector of a second text encoder.
 */
export function tinyTextToImage({ sentence = true } = {}): PixelDiffusionParts {
  const unet = new UNet2DConditionModel(
    sentence
      ? { ...UNET, class_embed_type: "projection", projection_class_embeddings_input_dim: TEXT.projection_dim }
      : UNET,
  );
  const textEncoder = new CLIPTextModel(TEXT);
  const textEncoder2 = sentence ? new CLIPTextModelWithProjection(TEXT) : undefined;
  for (const [i, network] of [unet, textEncoder, textEncoder2].entries()) network?.initialize(keyedNoise(i));
  return {
    unet,
    textEncoder,
    textEncoder2,
    tokenizer: new CLIPTokenizer({ vocab: Object.fromEntries(TOKENS.map((token, id) => [token, id])), merges: [] }),
    scheduler: new DDIMScheduler({
      beta_schedule: "squaredcos_cap_v2",
      prediction_type: "v_prediction",
      clip_sample: false,
    }),
  };
}
