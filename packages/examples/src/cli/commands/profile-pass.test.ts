import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { type Model, modelFromConfig } from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { examplePass } from "./profile-pass.js";

const SMALL = { block_out_channels: [8, 16], layers_per_block: 1, norm_num_groups: 4 };
const DOWN = ["CrossAttnDownBlock2D", "DownBlock2D"];
const CONDITION = { ...SMALL, cross_attention_dim: 8, attention_head_dim: 2, down_block_types: DOWN };
const UNET = {
  _class_name: "UNet2DConditionModel",
  sample_size: [4, 8],
  ...CONDITION,
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
};
const TOWER = { hidden_size: 8, intermediate_size: 8, num_attention_heads: 2, num_hidden_layers: 1, projection_dim: 8 };

function opened(config: object): Model {
  const model = modelFromConfig(config as Record<string, unknown>);
  model.initialize(keyedNoise(0));
  return model;
}

describe("A pass to profile", () => {
  it.each<[string, number[], object]>([
    ["a text-to-image UNet", [2, 4, 8, 4], UNET],
    [
      "an SDXL UNet",
      [2, 4, 8, 4],
      {
        ...UNET,
        addition_embed_type: "text_time",
        addition_time_embed_dim: 4,
        projection_class_embeddings_input_dim: 34,
      },
    ],
    ["a UNet with a table of classes", [2, 4, 8, 4], { ...UNET, num_class_embeds: 3 }],
    ["a UNet with a level of noise for class", [2, 4, 8, 4], { ...UNET, class_embed_type: "timestep" }],
    [
      "a UNet with a vector for class",
      [2, 4, 8, 4],
      { ...UNET, class_embed_type: "projection", projection_class_embeddings_input_dim: 5 },
    ],
    ["a UNet with a finished class embedding", [2, 4, 8, 4], { ...UNET, class_embed_type: "identity" }],
    ["a UNet that widens its text", [2, 4, 8, 4], { ...UNET, encoder_hid_dim: 6, encoder_hid_dim_type: "text_proj" }],
    ["a ControlNet", [2, 32, 32, 16], { ...CONDITION, _class_name: "ControlNetModel" }],
    [
      "a UNet without text",
      [2, 8, 8, 3],
      {
        ...SMALL,
        _class_name: "UNet2DModel",
        sample_size: 8,
        attention_head_dim: 4,
        down_block_types: ["DownBlock2D", "AttnDownBlock2D"],
        up_block_types: ["AttnUpBlock2D", "UpBlock2D"],
        num_class_embeds: 3,
      },
    ],
    [
      "a text tower",
      [2, 6, 8],
      { ...TOWER, architectures: ["CLIPTextModel"], vocab_size: 9, max_position_embeddings: 6 },
    ],
    [
      "a vision tower",
      [2, 8],
      { ...TOWER, architectures: ["CLIPVisionModelWithProjection"], image_size: 8, patch_size: 4 },
    ],
    [
      "an autoencoder",
      [2, 16, 16, 3],
      {
        ...SMALL,
        _class_name: "AutoencoderKL",
        sample_size: 16,
        down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
        up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
      },
    ],
    [
      "a prior",
      [2, 8],
      {
        _class_name: "PriorTransformer",
        num_attention_heads: 2,
        attention_head_dim: 4,
        num_layers: 1,
        embedding_dim: 8,
        num_embeddings: 3,
      },
    ],
  ])("is made for %s", async (_, shape, config) => {
    await useBackend("wasm");
    const model = opened(config);
    const { forward, inputs } = examplePass(model, 2, 3);
    expect(tf.tidy(() => forward().shape)).toEqual(shape);
    tf.dispose(inputs);
    model.dispose();
    expect(tf.memory().numTensors).toBe(0);
  });

  it("is refused for a network that cannot be profiled on its own", () => {
    const model = opened({
      _class_name: "UnCLIPTextProjModel",
      clip_embeddings_dim: 4,
      time_embed_dim: 4,
      cross_attention_dim: 4,
    });
    expect(() => examplePass(model, 1, 1)).toThrow("A UnCLIPTextProjModel cannot be profiled: give a UNet,");
    model.dispose();
  });
});
