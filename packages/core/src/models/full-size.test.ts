import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { AutoencoderKL } from "./autoencoder/autoencoder-kl.js";
import { CLIPTextModel, CLIPTextModelWithProjection } from "./clip/clip-text-model.js";
import type { Model } from "./model.js";
import type { UNet2DConditionConfig } from "./unet/unet-2d-condition-config.js";
import { UNet2DConditionModel } from "./unet/unet-2d-condition.js";

/** Names and shapes on disk of the published models; origin in the meta.json beside the file. */
const KEYS = JSON.parse(
  gunzipSync(readFileSync(new URL("../../fixtures/state-dict-keys/keys.json.gz", import.meta.url))).toString(),
) as Record<string, Record<string, number[]>>;

const SD1: Partial<UNet2DConditionConfig> = { cross_attention_dim: 768 };
const SD2: Partial<UNet2DConditionConfig> = {
  cross_attention_dim: 1024,
  attention_head_dim: [5, 10, 20, 20],
  use_linear_projection: true,
};
const SDXL: Partial<UNet2DConditionConfig> = {
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  block_out_channels: [320, 640, 1280],
  attention_head_dim: [5, 10, 20],
  transformer_layers_per_block: [1, 2, 10],
  cross_attention_dim: 2048,
  use_linear_projection: true,
  addition_embed_type: "text_time",
  addition_time_embed_dim: 256,
  projection_class_embeddings_input_dim: 2816,
};
const MODELS: [name: string, parameters: number, build: () => Model][] = [
  ["sd15.unet", 859_520_964, () => new UNet2DConditionModel(SD1)],
  ["sd15-inpaint.unet", 859_535_364, () => new UNet2DConditionModel({ ...SD1, in_channels: 9 })],
  ["sd21.unet", 865_910_724, () => new UNet2DConditionModel(SD2)],
  ["sdxl.unet", 2_567_463_684, () => new UNet2DConditionModel(SDXL)],
  [
    "vae",
    83_653_863,
    () =>
      new AutoencoderKL({
        block_out_channels: [128, 256, 512, 512],
        down_block_types: Array(4).fill("DownEncoderBlock2D"),
        up_block_types: Array(4).fill("UpDecoderBlock2D"),
        layers_per_block: 2,
      }),
  ],
  [
    "clip-l.text",
    123_060_480,
    () => new CLIPTextModel({ hidden_size: 768, intermediate_size: 3072, num_attention_heads: 12 }),
  ],
  [
    "sd21.text",
    340_387_840,
    () =>
      new CLIPTextModel({
        hidden_size: 1024,
        intermediate_size: 4096,
        num_attention_heads: 16,
        num_hidden_layers: 23,
        hidden_act: "gelu",
      }),
  ],
  [
    "sdxl.text_2",
    694_659_840,
    () =>
      new CLIPTextModelWithProjection({
        hidden_size: 1280,
        intermediate_size: 5120,
        num_attention_heads: 20,
        num_hidden_layers: 32,
        hidden_act: "gelu",
        projection_dim: 1280,
      }),
  ],
];

describe("full-size models", () => {
  it.each(MODELS)(
    "%s has the published names, shapes and number of parameters (%i), without allocating memory",
    (name, count, build) => {
      const before = tf.memory().numTensors;
      const shapes = Object.fromEntries([...build().namedParameters()].map(([key, { diskShape }]) => [key, diskShape]));
      expect(shapes).toEqual(KEYS[name]);
      expect(Object.values(shapes).reduce((sum, shape) => sum + tf.util.sizeFromShape(shape), 0)).toBe(count);
      expect(tf.memory().numTensors).toBe(before);
    },
  );
});
