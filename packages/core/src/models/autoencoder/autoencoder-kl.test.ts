import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { above, Golden, loadFixture, relativeRms } from "../../testing/fixture.js";
import { gradientErrors, gradientsByName } from "../../testing/gradients.js";
import { numbered, record } from "../../testing/record.js";
import { AutoencoderKL, type AutoencoderOptions, klToStandardNormal } from "./autoencoder-kl.js";

// 10 times the difference between PyTorch's own float32 and float64 (meta.json: 9e-7 forward, 4e-6 for gradients).
const FORWARD = 1e-5;
const GRADIENT = 5e-5;

const load = (folder = "vae_basic") => loadFixture<AutoencoderKL>(folder);

describe("AutoencoderKL", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it("equals diffusers: distribution, divergence, pictures, and inside", async () => {
    const vae = await load();
    const golden = await Golden.read("vae_basic");
    const recorded = record({
      encoder_conv_in: vae.encoder.conv_in,
      ...numbered("enc_down", vae.encoder.down_blocks),
      encoder_mid: vae.encoder.mid_block,
      decoder_mid: vae.decoder.mid_block,
      ...numbered("dec_up", vae.decoder.up_blocks),
    });
    const distribution = vae.encode(golden.tensor("in.image"));
    const decoded = vae.decode(golden.tensor("out.sample"));
    const errors = new Map([
      ["mean", golden.error("out.mean", distribution.mean)],
      ["logvar", golden.error("out.logvar", distribution.logvar)],
      ["kl", golden.error("out.kl", klToStandardNormal(distribution))],
      ["decoded", golden.error("out.decoded", decoded)],
    ]);
    for (const name of golden.names("hook.")) errors.set(name, golden.error(name, recorded.get(name.slice(5))!));
    const scaled = golden.tensor<tf.Tensor4D>("in.latents").div<tf.Tensor4D>(vae.config.scaling_factor);
    errors.set("decoded_in_latents", golden.error("out.decoded_in_latents", vae.decode(scaled)));
    expect(above(FORWARD, errors)).toEqual([]);
  });

  it("has PyTorch's gradient of every parameter", async () => {
    const vae = await load();
    const golden = await Golden.read("vae_basic");
    const [image, noise] = [golden.tensor<tf.Tensor4D>("in.image"), golden.tensor<tf.Tensor4D>("in.noise")];
    const { loss, gradients } = gradientsByName(vae, () => {
      const distribution = vae.encode(image);
      const sample = distribution.mean.add<tf.Tensor4D>(distribution.logvar.mul(0.5).exp().mul(noise));
      const reconstruction = vae.decode(sample).sub(image).square().mean();
      return reconstruction.add<tf.Scalar>(klToStandardNormal(distribution).mean().mul(1e-6));
    });
    expect(golden.error("out.loss", loss)).toBeLessThan(FORWARD);
    expect(above(GRADIENT, gradientErrors(vae, golden, gradients))).toEqual([]);
  });

  it.each([1, 2, 3, 5])(
    "gives the same result in bands of %i latent rows as without bands, and leaves no tensor",
    async (bandRows) => {
      const vae = await load();
      const image = tf.randomUniform<tf.Rank.R4>([2, 22, 12, 3], -1, 1, "float32", 1);
      const whole = vae.encode(image);
      const decoded = vae.decode(whole.mean);
      const before = tf.memory().numTensors;
      const inBands = vae.encode(image, { bandRows });
      const decodedInBands = vae.decode(whole.mean, { bandRows, oneByOne: true });
      expect(tf.memory().numTensors).toBe(before + 3);
      // float32 sums in another order differ as much as PyTorch from float64.
      expect(relativeRms(inBands.mean, whole.mean)).toBeLessThan(2e-6);
      expect(relativeRms(inBands.logvar, whole.logvar)).toBeLessThan(2e-6);
      expect(relativeRms(decodedInBands, decoded)).toBeLessThan(2e-6);
    },
  );

  it.each([9, 11, 15])("does so with %i pixel rows, which are odd at some level", async (height) => {
    const vae = new AutoencoderKL({
      block_out_channels: [8, 8, 8],
      norm_num_groups: 4,
      layers_per_block: 1,
      down_block_types: Array(3).fill("DownEncoderBlock2D"),
      up_block_types: Array(3).fill("UpDecoderBlock2D"),
    });
    vae.initialize(keyedNoise(0));
    const image = tf.randomUniform<tf.Rank.R4>([1, height, 10, 3], -1, 1, "float32", 1);
    const whole = vae.encode(image).mean;
    const before = tf.memory().numTensors;
    for (const bandRows of [1, 2]) {
      const inBands = vae.encode(image, { bandRows });
      expect(relativeRms(inBands.mean, whole)).toBeLessThan(2e-6);
      tf.dispose({ ...inBands });
    }
    expect(tf.memory().numTensors).toBe(before);
    vae.dispose();
  });

  it("needs less than half the memory in bands, and that of one picture for a batch", async () => {
    // As in the published autoencoders, the finest feature maps are the largest.
    const vae = new AutoencoderKL({
      block_out_channels: [16, 16, 16, 16],
      norm_num_groups: 4,
      latent_channels: 4,
      layers_per_block: 1,
      down_block_types: Array(4).fill("DownEncoderBlock2D"),
      up_block_types: Array(4).fill("UpDecoderBlock2D"),
    });
    vae.initialize(keyedNoise(0));
    const z = keyedNoise(1).normal([2, 8, 6, 4]) as tf.Tensor4D;
    const image = keyedNoise(2).uniform([2, 64, 48, 3]) as tf.Tensor4D;
    const peak = async (f: () => tf.Tensor) => {
      const before = tf.memory().numBytes;
      const { peakBytes } = await tf.profile(f);
      return peakBytes - before;
    };
    const coders = [
      (options: AutoencoderOptions) => peak(() => vae.decode(z, options)),
      (options: AutoencoderOptions) => peak(() => vae.encode(image, options).mean),
    ];
    for (const needed of coders) {
      const one = await needed({ oneByOne: true });
      expect(one).toBeLessThan(0.6 * (await needed({})));
      expect(await needed({ oneByOne: true, bandRows: 1 })).toBeLessThan(0.5 * one);
    }
  });
});
