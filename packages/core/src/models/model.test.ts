import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../testing/backend.js";
import { MissingWeightsError } from "../nn/parameter.js";
import { AutoencoderKL } from "./autoencoder/autoencoder-kl.js";
import { CLIPModel } from "./clip/clip-model.js";
import { CLIPTextModel } from "./clip/clip-text-model.js";
import { ModelConfigError, ModelInputError } from "./errors.js";
import { PriorTransformer } from "./clip/prior-transformer.js";
import { UNet2DConditionModel, type UNet2DConditionInputs } from "./unet/unet-2d-condition.js";
import { UNet2DModel } from "./unet/unet-2d.js";

const TINY = {
  block_out_channels: [8, 16],
  down_block_types: ["CrossAttnDownBlock2D" as const, "DownBlock2D" as const],
  up_block_types: ["UpBlock2D" as const, "CrossAttnUpBlock2D" as const],
  layers_per_block: 1,
  norm_num_groups: 4,
  attention_head_dim: 2,
  cross_attention_dim: 6,
};

const VAE_OF_3_LEVELS = {
  block_out_channels: [32, 32, 32],
  down_block_types: Array<"DownEncoderBlock2D">(3).fill("DownEncoderBlock2D"),
  up_block_types: Array<"UpDecoderBlock2D">(3).fill("UpDecoderBlock2D"),
};

function meanAndDeviation(tensor: tf.Tensor): [number, number] {
  const { mean, variance } = tf.moments(tensor);
  return [mean.dataSync()[0]!, Math.sqrt(variance.dataSync()[0]!)];
}

describe("Model", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it("draws the same weights from the same noise, and frees them", () => {
    const [one, other] = [new UNet2DConditionModel(TINY), new UNet2DConditionModel(TINY)];
    const before = tf.memory().numTensors;
    for (const unet of [one, other]) unet.initialize(keyedNoise(3));
    expect(tf.memory().numTensors).toBe(before + 2 * one.namedParameters().size);
    for (const [name, variable] of one.parameters()) {
      expect(variable.dataSync()).toEqual(other.parameters().get(name)!.dataSync());
    }
    one.dispose();
    other.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect(() => one.parameters()).toThrow(MissingWeightsError);
  });

  it("starts linear and convolution layers uniform with PyTorch's bound, and normalisations as the identity", () => {
    const unet = new UNet2DConditionModel({ ...TINY, block_out_channels: [32, 64] });
    unet.initialize(keyedNoise(0));
    const values = unet.parameters();
    const { weight, bias } = unet.up_blocks[0]!.resnets[0]!.conv1;
    const bound = 1 / Math.sqrt(weight.shape[0]! * weight.shape[1]! * weight.shape[2]!);
    const [mean, deviation] = meanAndDeviation(weight.value);
    expect(weight.value.abs().max().dataSync()[0]).toBeLessThanOrEqual(bound);
    // 73,728 draws: mean and deviation are within 4 standard errors.
    expect(Math.abs(mean) / bound).toBeLessThan(4 / Math.sqrt(3 * weight.value.size));
    expect(Math.abs(deviation / (bound / Math.sqrt(3)) - 1)).toBeLessThan(4 / Math.sqrt(2 * weight.value.size));
    expect(bias!.value.abs().max().dataSync()[0]).toBeLessThanOrEqual(bound);
    expect(new Set(values.get("conv_norm_out.weight")!.dataSync())).toEqual(new Set([1]));
    expect(new Set(values.get("conv_norm_out.bias")!.dataSync())).toEqual(new Set([0]));
    unet.dispose();
  });

  it("starts CLIP with the deviations of transformers' CLIPPreTrainedModel", () => {
    const width = 64;
    const layers = 2;
    const tower = { hidden_size: width, intermediate_size: 128, num_hidden_layers: layers, num_attention_heads: 4 };
    const clip = new CLIPModel({
      text_config: { ...tower, vocab_size: 300 },
      vision_config: { ...tower, image_size: 28, patch_size: 7 },
      projection_dim: 48,
    });
    clip.initialize(keyedNoise(1));
    const expected: Record<string, number> = {
      "text_model.embeddings.token_embedding.weight": 0.02,
      "text_model.encoder.layers.0.self_attn.q_proj.weight": width ** -0.5 * (2 * layers) ** -0.5,
      "text_model.encoder.layers.1.self_attn.out_proj.weight": width ** -0.5,
      "text_model.encoder.layers.0.mlp.fc1.weight": (2 * width) ** -0.5,
      "text_model.encoder.layers.0.mlp.fc2.weight": width ** -0.5 * (2 * layers) ** -0.5,
      "text_projection.weight": width ** -0.5,
      "vision_model.embeddings.patch_embedding.weight": 0.02,
    };
    for (const [name, deviation] of Object.entries(expected)) {
      const value = clip.parameters().get(name)!;
      expect(Math.abs(meanAndDeviation(value)[1] / deviation - 1)).toBeLessThan(4 / Math.sqrt(2 * value.size));
    }
    expect(clip.parameters().get("logit_scale")!.dataSync()[0]).toBeCloseTo(2.6592, 6);
    expect(clip.parameters().get("text_model.encoder.layers.0.mlp.fc1.bias")!.abs().max().dataSync()[0]).toBe(0);
    clip.dispose();
  });
});

describe("a config", () => {
  it("keeps the given keys and fills in diffusers' defaults", () => {
    const { config } = new UNet2DConditionModel({ ...TINY, sample_size: 64 });
    expect(config).toMatchObject({ ...TINY, sample_size: 64, norm_eps: 1e-5, in_channels: 4, class_embed_type: null });
  });

  it("ignores unknown keys that are switched off, private or harmless", () => {
    const given = { ...TINY, _diffusers_version: "9", new_switch: false, new_type: null, torch_dtype: "float16" };
    expect(() => new UNet2DConditionModel(given)).not.toThrow();
  });

  const refused: [string, () => unknown, RegExp][] = [
    [
      "an unknown key",
      () => new UNet2DConditionModel({ ...TINY, use_rotary: true } as object),
      /"use_rotary" \(true\)/,
    ],
    [
      "a value that is not supported",
      () => new UNet2DConditionModel({ ...TINY, addition_embed_type: "image_hint" as "text_time" }),
      /addition_embed_type = "image_hint".*"text_time"/,
    ],
    [
      "an unknown block type",
      () => new UNet2DConditionModel({ ...TINY, down_block_types: ["KDownBlock2D" as "DownBlock2D", "DownBlock2D"] }),
      /KDownBlock2D/,
    ],
    ["an unknown block type", () => new UNet2DModel({ mid_block_type: "UNetMid" as "UNetMidBlock2D" }), /UNetMid/],
    [
      "an unknown block type of an autoencoder",
      () => new AutoencoderKL({ down_block_types: ["AttnDownEncoderBlock2D" as "DownEncoderBlock2D"] }),
      /AttnDownEncoderBlock2D/,
    ],
    [
      "lists of different lengths",
      () => new UNet2DConditionModel({ ...TINY, block_out_channels: [8] }),
      /block_out_channels has 1/,
    ],
    [
      "a required width that is missing",
      () => new UNet2DConditionModel({ ...TINY, class_embed_type: "projection" }),
      /projection_class_embeddings_input_dim/,
    ],
    ["an unknown activation", () => new CLIPTextModel({ hidden_act: "tanh" as "gelu" }), /hidden_act = "tanh"/],
    [
      "text in place of a number",
      () => new UNet2DConditionModel({ ...TINY, norm_eps: "1e-5" as never }),
      /norm_eps = "1e-5"; expected a finite number/,
    ],
    [
      "text in place of a switch",
      () => new UNet2DConditionModel({ ...TINY, flip_sin_to_cos: "yes" as never }),
      /flip_sin_to_cos = "yes"; expected true or false/,
    ],
    [
      "a list where there is one value for all levels",
      () => new AutoencoderKL({ block_out_channels: [8], layers_per_block: [1] as never }),
      /layers_per_block = \[1\]; expected one value, not a list/,
    ],
    [
      "a kind of text projection without its width",
      () => new UNet2DConditionModel({ ...TINY, encoder_hid_dim_type: "text_proj" }),
      /encoder_hid_dim_type text_proj needs encoder_hid_dim/,
    ],
    [
      "more blocks than memory holds",
      () => new UNet2DConditionModel({ ...TINY, layers_per_block: 1000, transformer_layers_per_block: 1000 }),
      /give 2000000 transformer blocks; at most 10000 are allowed/,
    ],
    [
      "too many levels",
      () => new UNet2DModel({ block_out_channels: Array<number>(100_000).fill(32) }),
      /block_out_channels has 100000 entries; at most 64 are allowed/,
    ],
    [
      "fewer positions than tokens",
      () => new PriorTransformer({ num_embeddings: 5, additional_embeddings: 3 }),
      /num_embeddings = 5 and additional_embeddings = 3 make 8 positions for 9 tokens/,
    ],
    [
      "latents_mean without latents_std",
      () => new AutoencoderKL({ latents_mean: [0, 0, 0, 0] }),
      /latents_mean = \[0,0,0,0\], latents_std = null; expected 4 numbers each/,
    ],
  ];
  it.each(refused)("is refused with %s", (_, build, message) => {
    expect(build).toThrow(message);
    expect(build).toThrow(ModelConfigError);
  });

  it("of transformers may contain keys that early versions wrote for every network", () => {
    // As in openai/clip-vit-large-patch14: settings for text generation and classification, which CLIP does not do.
    const written: object = {
      _name_or_path: "",
      add_cross_attention: false,
      bad_words_ids: null,
      chunk_size_feed_forward: 0,
      do_sample: false,
      diversity_penalty: 0,
      dropout: 0,
      encoder_no_repeat_ngram_size: 0,
      id2label: { 0: "LABEL_0" },
      is_decoder: false,
      label2id: { LABEL_0: 0 },
      length_penalty: 1,
      max_length: 20,
      min_length: 0,
      no_repeat_ngram_size: 0,
      num_beams: 1,
      num_beam_groups: 1,
      num_return_sequences: 1,
      output_attentions: false,
      pruned_heads: {},
      repetition_penalty: 1,
      return_dict: true,
      temperature: 1,
      tie_word_embeddings: true,
      tokenizer_class: null,
      top_k: 50,
      top_p: 1,
      torchscript: false,
      typical_p: 1,
      use_bfloat16: false,
      cross_attention_hidden_size: null,
    };
    expect(() => new CLIPModel({ text_config: written, vision_config: written })).not.toThrow();
    expect(() => new CLIPTextModel(written)).not.toThrow();
    expect(() => new CLIPTextModel({ ...written, pruned_heads: { 0: [1] } } as object)).toThrow(/"pruned_heads"/);
  });

  it("of CLIP that describes its towers twice uses text_config_dict and vision_config_dict, as in transformers", () => {
    const tower = { hidden_size: 8, intermediate_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    const clip = new CLIPModel({
      text_config: { hidden_size: 12 },
      text_config_dict: { ...tower, vocab_size: 20 },
      vision_config: { hidden_size: 12 },
      vision_config_dict: { ...tower, image_size: 8, patch_size: 4 },
    } as object);
    const shape = (name: string) => clip.namedParameters().get(name)!.diskShape;
    expect(shape("text_model.embeddings.token_embedding.weight")).toEqual([20, 8]);
    expect(shape("vision_model.embeddings.position_embedding.weight")).toEqual([5, 8]);
    expect(clip.config).not.toHaveProperty("text_config_dict");
    const once = new CLIPModel({ text_config: tower, text_config_dict: null } as object);
    expect(once.namedParameters().get("text_model.final_layer_norm.bias")!.diskShape).toEqual([8]);
  });

  it("is refused with groups or heads that do not divide the channels", () => {
    expect(() => new UNet2DConditionModel({ ...TINY, norm_num_groups: 3 })).toThrow(/8 channels.*norm_num_groups/);
    expect(() => new UNet2DConditionModel({ ...TINY, attention_head_dim: 3 })).toThrow(/8 channels.*3 heads/);
  });
});

describe("an input", () => {
  const image = (...shape: number[]) => tf.zeros<tf.Rank.R4>(shape as [number, number, number, number]);
  const x = () => image(2, 4, 4, 4);
  const context = () => tf.zeros<tf.Rank.R3>([2, 3, 6]);
  const forward =
    (config: object, x: tf.Tensor4D, t: number | tf.Tensor1D, context: tf.Tensor3D, inputs?: UNet2DConditionInputs) =>
    () =>
      new UNet2DConditionModel({ ...TINY, ...config }).forward(x, t, context, inputs);

  // The models have no weights: that the error is about the input shows that nothing was computed before.
  const refused: [string, () => unknown, RegExp][] = [
    ["channels", () => forward({}, image(2, 4, 4, 3), 1, context())(), /x is \[2, 4, 4, 3\].*\[any, any, any, 4\]/],
    ["a rank", () => forward({}, image(4, 4, 4), 1, context())(), /x is \[4, 4, 4\]/],
    ["a dtype", () => forward({}, x().toInt(), 1, context())(), /int32, expected .* float32/],
    [
      "the width of the text",
      () => forward({}, x(), 1, tf.zeros([2, 3, 5]))(),
      /context is \[2, 3, 5\].*\[2, any, 6\]/,
    ],
    ["the batch of the text", () => forward({}, x(), 1, tf.zeros([1, 3, 6]))(), /context is \[1, 3, 6\]/],
    ["the number of timesteps", () => forward({}, x(), tf.tensor1d([1, 2, 3]), context())(), /t is a tensor \[3\]/],
    ["a timestep", () => forward({}, x(), NaN, context())(), /t is NaN/],
    [
      "a mask",
      () => forward({}, x(), 1, context(), { encoderAttentionMask: tf.ones([2, 4]) })(),
      /encoderAttentionMask is \[2, 4\]/,
    ],
    [
      "a class where there are none",
      () => forward({}, x(), 1, context(), { classLabels: tf.ones([2]) })(),
      /classLabels was given/,
    ],
    [
      "no class where one is needed",
      () => forward({ num_class_embeds: 5 }, x(), 1, context())(),
      /classLabels is missing/,
    ],
    [
      "a pooled vector of another width",
      () =>
        forward({ class_embed_type: "projection", projection_class_embeddings_input_dim: 7 }, x(), 1, context(), {
          classLabels: tf.ones([2, 8]),
        })(),
      /classLabels is \[2, 8\].*\[2, 7\]/,
    ],
    [
      "residuals of another network",
      () => forward({}, x(), 1, context(), { downResiduals: [x()] })(),
      /1 downResiduals/,
    ],
    [
      "texts longer than the model reads",
      () => new CLIPTextModel().forward(tf.zeros([1, 78], "int32")),
      /78 tokens.*77/,
    ],
    ["latents of another model", () => new AutoencoderKL().decode(image(1, 2, 2, 3)), /z is \[1, 2, 2, 3\]/],
    ["no tensor", () => forward({}, [1] as never, 1, context())(), /x is not a tensor; expected \[B, H, W, C\]/],
    [
      "an undefined timestep",
      () => forward({}, x(), undefined as never, context())(),
      /t is undefined; expected a finite/,
    ],
    ["a picture without rows", () => forward({}, image(1, 0, 4, 4), 1, context())(), /x is \[1, 0, 4, 4\].*is empty/],
    ["an empty batch", () => new AutoencoderKL().decode(image(0, 2, 2, 4)), /z is \[0, 2, 2, 4\].*is empty/],
    ["an empty text", () => new CLIPTextModel().forward(tf.zeros([1, 0], "int32")), /ids is \[1, 0\].*is empty/],
    [
      "a picture that is too small for the levels",
      () => new AutoencoderKL({ ...VAE_OF_3_LEVELS }).encode(image(1, 8, 3, 3)),
      /a picture of 8 x 3 is too small for its 3 levels; height and width must be at least 4/,
    ],
    [
      "a picture that is too small for pooling",
      () =>
        forward({ down_block_types: ["ResnetDownsampleBlock2D", "DownBlock2D"] }, image(2, 1, 4, 4), 1, context())(),
      /a picture of 1 x 4 is too small for its 2 levels; height and width must be at least 2/,
    ],
    [
      "a class out of range",
      () => forward({ num_class_embeds: 5 }, x(), 1, context(), { classLabels: tf.tensor1d([4, 5], "int32") })(),
      /classLabels holds 5; expected whole numbers from 0 to 4/,
    ],
    [
      "a class out of range, of a plain UNet",
      () =>
        new UNet2DModel({ num_class_embeds: 5 }).forward(image(1, 8, 8, 3), 1, {
          classLabels: tf.tensor1d([-1], "int32"),
        }),
      /classLabels holds -1; expected whole numbers from 0 to 4/,
    ],
    [
      "a residual of another size",
      () =>
        forward({}, x(), 1, context(), {
          downResiduals: [image(2, 4, 4, 8), image(2, 4, 4, 8), image(2, 4, 4, 8), image(2, 2, 2, 16)],
        })(),
      /downResiduals\[2\] is \[2, 4, 4, 8\].*\[2, 2, 2, 8\].*ControlNet/,
    ],
    [
      "a middle residual of another width",
      () => forward({}, x(), 1, context(), { midResidual: image(2, 1, 1, 8) })(),
      /midResidual is \[2, 1, 1, 8\].*\[2, 1, 1, 16\]/,
    ],
    ["half a row", () => new AutoencoderKL().decode(image(1, 2, 2, 4), { bandRows: 0.5 }), /bandRows is 0.5/],
  ];
  it.each(refused)("is refused for %s, before any work", (_, call, message) => {
    expect(call).toThrow(ModelInputError);
    expect(call).toThrow(message);
  });
});
