import { CLIPTokenizer, StableDiffusionPipeline } from "@tfjs-diffusion/core";
import { AutoencoderKL, CLIPTextModel, UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { keyedNoise, type Scheduler } from "@tfjs-diffusion/schedulers";

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"].flatMap((letter) => [letter, `${letter}</w>`]);
const WORDS = [...LETTERS, "<|startoftext|>", "<|endoftext|>"];

/** A Stable Diffusion with fixed random weights that draws 16x16 pictures in milliseconds. */
export function tinyStableDiffusion(scheduler: Scheduler): StableDiffusionPipeline {
  const unet = new UNet2DConditionModel({
    sample_size: 8,
    block_out_channels: [8, 16],
    norm_num_groups: 4,
    layers_per_block: 1,
    cross_attention_dim: 8,
    attention_head_dim: 2,
    down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
  });
  const vae = new AutoencoderKL({
    block_out_channels: [8, 8],
    norm_num_groups: 4,
    down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
    up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
  });
  const textEncoder = new CLIPTextModel({
    hidden_size: 8,
    intermediate_size: 16,
    num_attention_heads: 2,
    num_hidden_layers: 2,
    vocab_size: WORDS.length,
    eos_token_id: WORDS.length - 1,
  });
  const tokenizer = new CLIPTokenizer({ vocab: Object.fromEntries(WORDS.map((word, i) => [word, i])), merges: [] });
  [unet, vae, textEncoder].forEach((network, i) => network.initialize(keyedNoise(i)));
  return new StableDiffusionPipeline({ unet, vae, textEncoder, tokenizer, scheduler });
}
