import * as tf from "@tensorflow/tfjs";
import { keyedNoise, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import { CLIPTextModel } from "../models/clip/clip-text-model.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { StableDiffusionPipeline } from "../pipelines/stable-diffusion/stable-diffusion.js";
import { CLIPTokenizer } from "../text/tokenizer.js";

/** A Stable Diffusion of random weights, the same on every backend. */
export const tinyLatentPipeline = () => new StableDiffusionPipeline(tinyLatentParts());

/** The parts of {@link tinyLatentPipeline}. */
export function tinyLatentParts() {
  const letters = [..."abcdefghijklmnopqrstuvwxyz"].flatMap((letter) => [letter, `${letter}</w>`]);
  const words = [...letters, "<|startoftext|>", "<|endoftext|>"];
  const groups = { norm_num_groups: 4 };
  const parts = {
    unet: new UNet2DConditionModel({
      ...groups,
      sample_size: 8,
      block_out_channels: [8, 16],
      layers_per_block: 1,
      cross_attention_dim: 8,
      attention_head_dim: 2,
      down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
      up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
    }),
    vae: new AutoencoderKL({
      ...groups,
      block_out_channels: [8, 8],
      down_block_types: Array(2).fill("DownEncoderBlock2D"),
      up_block_types: Array(2).fill("UpDecoderBlock2D"),
    }),
    textEncoder: new CLIPTextModel({
      hidden_size: 8,
      intermediate_size: 16,
      num_attention_heads: 2,
      num_hidden_layers: 2,
      vocab_size: words.length,
      eos_token_id: words.length - 1,
    }),
    tokenizer: new CLIPTokenizer({ vocab: Object.fromEntries(words.map((word, i) => [word, i])), merges: [] }),
    scheduler: schedulerFromConfig({ _class_name: "EulerDiscreteScheduler", beta_schedule: "scaled_linear" }),
  };
  [parts.unet, parts.vae, parts.textEncoder].forEach((network, i) => network.initialize(keyedNoise(i)));
  return parts;
}

/** What {@link tinyLatentPipeline} draws on the current backend; and how many tensors that leaves. */
export async function drawTiny(size = { width: 16, height: 16 }): Promise<{ images: number[]; leaked: number }> {
  const before = tf.memory().numTensors;
  const pipeline = tinyLatentPipeline();
  let images: number[];
  try {
    const drawn = await pipeline.generate({ prompt: "red", ...size, numInferenceSteps: 2 });
    images = [...(await drawn.images.data())];
    tf.dispose(drawn);
  } finally {
    pipeline.dispose();
  }
  return { images, leaked: tf.memory().numTensors - before };
}
