import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import type { TimestepEmbedding } from "../../nn/time-embedding.js";
import { timestepSinusoid } from "../../nn/time-embedding.js";
import { relativeRms } from "../../testing/fixture.js";
import { AutoencoderKL, klToStandardNormal } from "../autoencoder/autoencoder-kl.js";
import { CLIPModel, contrastiveLoss } from "../clip/clip-model.js";
import type { Model } from "../model.js";
import type { UNet2DConditionConfig } from "./unet-2d-condition-config.js";
import { UNet2DConditionModel, type UNet2DConditionInputs } from "./unet-2d-condition.js";
import { UNet2DModel } from "./unet-2d.js";

const TINY: Partial<UNet2DConditionConfig> = {
  block_out_channels: [8, 16],
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
  layers_per_block: 1,
  norm_num_groups: 4,
  attention_head_dim: 2,
  cross_attention_dim: 6,
};
const TIME_CHANNELS = 32;
const noise = keyedNoise(8);
const draw = <T extends tf.Tensor>(name: string, shape: number[]) => noise.at(name).normal(shape) as T;
const x = () => draw<tf.Tensor4D>("x", [2, 5, 4, 4]);
const context = () => draw<tf.Tensor3D>("context", [2, 3, 6]);

/** A UNet whose parameters depend only on their names, so that two configs have equal values for common parameters. */
function build(config: Partial<UNet2DConditionConfig>): UNet2DConditionModel {
  const unet = new UNet2DConditionModel({ ...TINY, ...config });
  for (const [name, parameter] of unet.namedParameters()) {
    tf.tidy(() => parameter.assign(parameter.initializer(parameter.shape, noise.at(name))));
  }
  return unet;
}

function drawn(unet: UNet2DConditionModel, inputs: UNet2DConditionInputs = {}): tf.Tensor4D {
  return unet.forward(x(), tf.tensor1d([3, 700]), context(), inputs);
}

beforeAll(async () => {
  await useTestBackend();
});

describe("a class or pooled vector", () => {
  // "identity" adds a given vector to the time embedding; every other kind must add what its own layers make.
  const vectors: [
    string,
    Partial<UNet2DConditionConfig>,
    () => tf.Tensor,
    (unet: UNet2DConditionModel) => tf.Tensor,
  ][] = [
    [
      "a projected vector",
      { class_embed_type: "projection", projection_class_embeddings_input_dim: 5 },
      () => draw("pooled", [2, 5]),
      (unet) => (unet.class_embedding as TimestepEmbedding).forward(draw("pooled", [2, 5])),
    ],
    [
      "a linearly projected vector",
      { class_embed_type: "simple_projection", projection_class_embeddings_input_dim: 5 },
      () => draw("pooled", [2, 5]),
      (unet) => (unet.class_embedding as TimestepEmbedding).forward(draw("pooled", [2, 5])),
    ],
    [
      "a class of a table",
      { num_class_embeds: 9 },
      () => tf.tensor1d([8, 2], "int32"),
      (unet) => tf.gather(unet.parameters().get("class_embedding.weight")!, tf.tensor1d([8, 2], "int32")),
    ],
    [
      "a second timestep",
      { class_embed_type: "timestep" },
      () => tf.tensor1d([20, 350]),
      (unet) => (unet.class_embedding as TimestepEmbedding).forward(timestepSinusoid(tf.tensor1d([20, 350]), 8)),
    ],
  ];
  it.each(vectors)("that is %s is added to the time embedding", (_, config, labels, vector) => {
    const unet = build(config);
    const got = drawn(unet, { classLabels: labels() });
    const wanted = drawn(build({ class_embed_type: "identity" }), { classLabels: vector(unet) });
    expect(relativeRms(got, wanted)).toBeLessThan(1e-6);
    const without = drawn(build({}));
    expect(relativeRms(without, wanted)).toBeGreaterThan(1e-3);
  });

  it("can be concatenated with the time embedding instead, for one timestep and for many", () => {
    const unet = build({ class_embed_type: "identity", class_embeddings_concat: true });
    expect(unet.mid_block!.resnets[0]!.time_emb_proj!.inFeatures).toBe(2 * TIME_CHANNELS);
    const classLabels = draw("vector", [2, TIME_CHANNELS]);
    const [one, many] = [7, tf.tensor1d([7, 7])].map((t) => unet.forward(x(), t, context(), { classLabels }));
    expect(relativeRms(one!, many!)).toBeLessThan(1e-6);
  });

  it("has a gradient, so that it can be learned", () => {
    const unet = build({ class_embed_type: "projection", projection_class_embeddings_input_dim: 5 });
    const loss = (vector: tf.Tensor) => drawn(unet, { classLabels: vector }).square().mean();
    const vector = draw("pooled", [2, 5]);
    const [direction, h] = [draw("direction", [2, 5]), 0.02];
    const slope = tf.grad(loss)(vector).mul(direction).sum().dataSync()[0]!;
    const at = (step: number) => loss(vector.add(direction.mul(step))).dataSync()[0]!;
    // Fourth-order central difference: its error is far below float32's, of about 1e-7 / h.
    const difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    expect(Math.abs(slope / difference - 1)).toBeLessThan(2e-3);
  });
});

describe("a conditional UNet", () => {
  it("with only_cross_attention uses the context in place of self-attention, except in the middle block", () => {
    const unet = build({ only_cross_attention: [true, true] });
    const widths = Object.fromEntries([...unet.namedParameters()].map(([name, { shape }]) => [name, shape[0]]));
    expect(widths["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k.weight"]).toBe(6);
    expect(widths["up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k.weight"]).toBe(6);
    expect(widths["mid_block.attentions.0.transformer_blocks.0.attn1.to_k.weight"]).toBe(16);
    expect(drawn(unet).shape).toEqual([2, 5, 4, 4]);
  });

  it("ignores what is masked: the result is that of a shorter context", () => {
    const unet = build({});
    const encoderAttentionMask = tf.tensor2d([
      [1, 1, 0],
      [1, 1, 0],
    ]);
    const short = context().slice([0, 0, 0], [2, 2, 6]);
    const wanted = unet.forward(x(), 5, short);
    expect(relativeRms(unet.forward(x(), 5, context(), { encoderAttentionMask }), wanted)).toBeLessThan(1e-6);
  });

  it("with center_input_sample reads 2 x - 1, and with encoder_hid_dim a projected context", () => {
    const centred = build({ center_input_sample: true });
    const moved = build({}).forward(x().mul<tf.Tensor4D>(2).sub<tf.Tensor4D>(1), 5, context());
    expect(relativeRms(centred.forward(x(), 5, context()), moved)).toBeLessThan(1e-6);
    const projecting = build({ encoder_hid_dim: 4, encoder_hid_dim_type: "text_proj" });
    const wide = draw<tf.Tensor3D>("wide", [2, 3, 4]);
    const wanted = build({}).forward(x(), 5, projecting.encoder_hid_proj!.forward(wide));
    expect(relativeRms(projecting.forward(x(), 5, wide), wanted)).toBeLessThan(1e-6);
  });

  it("gives each item of a batch the same result as alone", () => {
    const unet = build({});
    const both = drawn(unet);
    const second = unet.forward(x().slice([1, 0, 0, 0], [1, 5, 4, 4]), 700, context().slice([1, 0, 0], [1, 3, 6]));
    expect(relativeRms(both.slice([1, 0, 0, 0], [1, 5, 4, 4]), second)).toBeLessThan(1e-6);
  });
});

describe("every forward", () => {
  const text = { hidden_size: 8, intermediate_size: 16, num_hidden_layers: 1, num_attention_heads: 2, vocab_size: 20 };
  const vision = { ...text, vocab_size: undefined, image_size: 8, patch_size: 4 };
  const clip = new CLIPModel({ text_config: text, vision_config: vision, projection_dim: 4 });
  const vae = new AutoencoderKL({ block_out_channels: [8], norm_num_groups: 4 });
  const plain = new UNet2DModel({
    block_out_channels: [8],
    down_block_types: ["AttnDownBlock2D"],
    up_block_types: ["UpBlock2D"],
    norm_num_groups: 4,
  });
  let [image, latents] = [] as unknown as [tf.Tensor4D, tf.Tensor4D];
  let [ids, square] = [] as unknown as [tf.Tensor2D, tf.Tensor2D];
  beforeAll(() => {
    [image, latents] = [tf.ones([1, 8, 8, 3]), tf.ones([1, 2, 2, 4])];
    [ids, square] = [tf.ones([1, 5], "int32"), tf.ones([3, 3])];
  });
  const cases: [string, Model | null, () => tf.TensorContainer, number][] = [
    ["CLIPModel", clip, () => ({ ...clip.forward(ids, image) }), 5],
    ["contrastiveLoss", null, () => contrastiveLoss(square), 1],
    ["AutoencoderKL.encode", vae, () => ({ ...vae.encode(image) }), 2],
    ["AutoencoderKL.decode", vae, () => vae.decode(latents), 1],
    ["klToStandardNormal", null, () => klToStandardNormal({ mean: latents, logvar: latents }), 1],
    ["UNet2DModel", plain, () => plain.forward(image, 3), 1],
  ];
  it.each(cases)("of %s leaves only its results", (_, model, forward, count) => {
    model?.initialize(keyedNoise(0));
    const before = tf.memory().numTensors;
    const results = forward();
    expect(tf.memory().numTensors).toBe(before + count);
    tf.dispose(results);
    model?.dispose();
  });
});
