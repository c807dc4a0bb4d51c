/**
 * Common mistakes in ports of Stable Diffusion, and the test that finds each. Those without a test elsewhere are tested
 * here.
 *
 * | trap                                                        | test                                                              |
 * | ----------------------------------------------------------- | ----------------------------------------------------------------- |
 * | attention_head_dim is the number of heads                   | here                                                              |
 * | epsilons: 1e-5 in resnets, 1e-6 in transformers and the VAE | here                                                              |
 * | cosines before sines, no shift of frequencies               | layers.test: the sinusoid of time                                 |
 * | GEGLU: value first, gate second                             | layers.test: GEGLU's first half                                   |
 * | exact GELU, but quick GELU in CLIP-L                        | here; clip.test on clip_text_gelu and clip_text_quickgelu         |
 * | padding on one side only in the VAE's encoder               | here; layers.test: a strided convolution                          |
 * | decoder.up counts from the finest level in single files     | layouts.test: of the autoencoder                                  |
 * | XL: sentence vector before the sizes                        | unet-2d-condition.test on unet_sdxl                               |
 * | pad tokens 49407 and 0, which the UNet attends to           | here; tokenizer.test: pads with !                                 |
 * | scaling_factor: times on the way in, divided on the way out | here                                                              |
 * | first noise times sigma, input scaled at each step          | stable-diffusion.test: euler; sampling.test: asks the network     |
 * | guidance: [negative, positive], off at 1                    | here; guidance.test                                               |
 * | SD 2.1 at 768 pixels predicts velocity                      | prediction.test; stable-diffusion.test: v_prediction              |
 * | XL: zeros without a negative prompt                         | stable-diffusion-xl.test: no_negative, no_negative_no_zeros       |
 * | XL's VAE needs float32                                      | here                                                              |
 * | CLIP: causal mask, padding is not masked                    | here; layers.test: never sees what is masked                      |
 * | Turbo: trailing timesteps                                   | stable-diffusion-xl.test: turbo; reference-numbers.test: SD-Turbo |
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise, replayNoise } from "@tfjs-diffusion/schedulers";
import { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { activation } from "../nn/activations.js";
import type { Transformer2DModel } from "../nn/spatial-attention.js";
import { useTestBackend } from "../testing/backend.js";
import { relativeRms } from "../testing/fixture.js";
import { writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { LatentSpace } from "./stable-diffusion/latent-space.js";
import { StableDiffusionPipeline } from "./stable-diffusion/stable-diffusion.js";

let folder: string;
let pipeline: StableDiffusionPipeline;

beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "traps "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
});
afterAll(async () => {
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

/** Networks with published configs; no weights are allocated. */
const unet = new UNet2DConditionModel({ cross_attention_dim: 768, attention_head_dim: 8 });
const vae = new AutoencoderKL({
  block_out_channels: [8, 8],
  norm_num_groups: 4,
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
});

describe("A known mistake is avoided:", () => {
  it("attention_head_dim is the number of heads", () => {
    const widths = unet.down_blocks.slice(0, 3).map((block) => {
      const { attn1 } = (block.attentions![0] as Transformer2DModel).transformer_blocks[0]!;
      return [attn1.heads, attn1.channels / attn1.heads];
    });
    expect(widths).toEqual([
      [8, 40],
      [8, 80],
      [8, 160],
    ]);
  });

  it("residual blocks, transformers and the autoencoder have their own epsilons", () => {
    const { resnets, attentions } = unet.down_blocks[0]!;
    const { norm, transformer_blocks } = attentions![0] as Transformer2DModel;
    expect([resnets[0]!.norm1.eps, unet.conv_norm_out.eps, transformer_blocks[0]!.norm1.eps]).toEqual(
      Array(3).fill(1e-5),
    );
    const { encoder, decoder } = vae;
    const ofVae = [encoder.down_blocks[0]!.resnets[0]!.norm1.eps, encoder.conv_norm_out.eps, decoder.conv_norm_out.eps];
    expect([norm.eps, ...ofVae]).toEqual(Array(4).fill(1e-6));
  });

  it("GELU uses the error function, except for quick GELU in CLIP-L", () => {
    const at = (name: "gelu" | "quick_gelu") => activation(name)(tf.tensor1d([1, -2])).arraySync();
    // x Phi(x), and x / (1 + exp(-1.702 x)).
    [0.8413447, -0.0455003].forEach((value, i) => expect(at("gelu")[i]).toBeCloseTo(value, 6));
    [0.8457958, -0.0643416].forEach((value, i) => expect(at("quick_gelu")[i]).toBeCloseTo(value, 6));
  });

  it("the UNet pads both sides on its way down, the autoencoder the right and bottom", () => {
    const corners = (conv: {
      weight: { shape: number[]; assign(x: tf.Tensor): void };
      bias?: { shape: number[]; assign(x: tf.Tensor): void };
      forward(x: tf.Tensor4D): tf.Tensor4D;
    }) => {
      const inputs = conv.weight.shape[2]!;
      conv.weight.assign(tf.fill(conv.weight.shape, 1 / inputs));
      conv.bias!.assign(tf.zeros(conv.bias!.shape));
      const y = conv.forward(tf.ones([1, 4, 4, inputs])).slice([0, 0, 0, 0], [1, 2, 2, 1]);
      return y.dataSync();
    };
    tf.tidy(() => {
      const small = new UNet2DConditionModel({
        block_out_channels: [32, 32],
        cross_attention_dim: 8,
        down_block_types: ["DownBlock2D", "DownBlock2D"],
        up_block_types: ["UpBlock2D", "UpBlock2D"],
      });
      const counts = (values: ArrayLike<number>) => Array.from(values, Math.round);
      expect(counts(corners(small.down_blocks[0]!.downsamplers![0].conv!))).toEqual([4, 6, 6, 9]);
      expect(counts(corners(vae.encoder.down_blocks[0]!.downsamplers![0].conv!))).toEqual([9, 6, 6, 4]);
    });
  });

  it("the UNet attends to the padding in the output of CLIP's text encoder", () => {
    const { textEncoder, tokenizer } = pipeline.parts;
    const read = (padToken: string) =>
      textEncoder.forward(tf.tensor2d([tokenizer.encode("a cube", { padToken })], undefined, "int32")).lastHiddenState;
    tf.tidy(() => {
      const [end, other] = [read("<|endoftext|>"), read("!")];
      const rows = (x: tf.Tensor3D, from: number, count: number) => x.slice([0, from, 0], [1, count, -1]);
      expect(end.shape[1]).toBe(77);
      // The mask is causal: tokens before the padding do not attend to it, and padding is not masked.
      expect(relativeRms(rows(end, 0, 4), rows(other, 0, 4))).toBeLessThan(1e-6);
      expect(relativeRms(rows(end, 5, 72), rows(other, 5, 72))).toBeGreaterThan(1e-2);
      expect(tokenizer.encode("")).toEqual([49406, ...Array<number>(76).fill(49407)]);
    });
  });

  it("latents are multiplied by scaling_factor after encoding and divided by it before decoding", () => {
    const vae = pipeline.parts.vae as AutoencoderKL;
    const space = new LatentSpace(vae);
    tf.tidy(() => {
      const image = keyedNoise(0).uniform([1, 16, 16, 3]) as tf.Tensor4D;
      const { mean } = vae.encode(image.mul<tf.Tensor4D>(2).sub(1));
      const latents = space.encode(image, replayNoise([tf.zerosLike(mean)]));
      expect(relativeRms(latents, mean.mul(vae.config.scaling_factor))).toBeLessThan(1e-6);
      const decoded = vae.decode(mean).add(1).div(2).clipByValue(0, 1);
      expect(relativeRms(space.decode(latents), decoded)).toBeLessThan(1e-5);
    });
  });

  it("guidance has the negative prompts first in the batch", async () => {
    const { unet } = pipeline.parts;
    const contexts: number[][] = [];
    const states = (fill: number) => tf.fill<tf.Rank.R3>([1, 77, unet.contextWidth], fill);
    const given = { promptEmbeds: states(2), negativePromptEmbeds: states(1) };
    unet.forward = (x, t, context, inputs) => {
      contexts.push(
        Array.from({ length: context.shape[0] }, (_, i) => context.slice([i, 0, 0], [1, 1, 1]).dataSync()[0]!),
      );
      return UNet2DConditionModel.prototype.forward.call(unet, x, t, context, inputs);
    };
    const size = { width: 16, height: 16, numInferenceSteps: 1 };
    (await pipeline.generateLatents({ ...given, ...size })).dispose();
    (await pipeline.generateLatents({ ...given, ...size, guidanceScale: 1 })).dispose();
    delete (unet as Partial<UNet2DConditionModel>).forward;
    tf.dispose(Object.values(given));
    expect(contexts).toEqual([[1, 2], [2]]);
  });

  it("the autoencoder computes in float32, with values beyond the range of float16", () => {
    const vae = pipeline.parts.vae as AutoencoderKL;
    tf.tidy(() => {
      const z = keyedNoise(0).normal([1, 4, 4, vae.config.latent_channels]).mul<tf.Tensor4D>(1e7);
      const inside = vae.decoder.conv_in.forward(vae.post_quant_conv!.forward(z));
      expect(inside.abs().max().dataSync()[0]).toBeGreaterThan(65504);
      expect(vae.decode(z).isFinite().all().dataSync()[0]).toBe(1);
    });
  });
});
