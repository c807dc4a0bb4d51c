import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { above, Golden, loadFixture } from "../../testing/fixture.js";
import { AutoencoderTiny } from "./autoencoder-tiny.js";

// As for AutoencoderKL: 10 times the difference between PyTorch's float32 and float64.
const FORWARD = 1e-5;

describe("AutoencoderTiny", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it("equals diffusers: latents, and pictures also of latents beyond its bound", async () => {
    const vae = await loadFixture<AutoencoderTiny>("vae_tiny");
    const golden = await Golden.read("vae_tiny");
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const errors = new Map([
        ["latents", golden.error("out.latents", vae.encode(golden.tensor("in.x")).latents)],
        ["sample", golden.error("out.sample", vae.decode(golden.tensor("in.z")))],
        ["one by one", golden.error("out.sample", vae.decode(golden.tensor("in.z"), { oneByOne: true }))],
      ]);
      expect(above(FORWARD, errors)).toEqual([]);
    });
    expect(tf.memory().numTensors).toBe(before);
    vae.dispose();
  });

  it("has the layers of the published TAESD, with their positions as names", () => {
    const names = [...new AutoencoderTiny().namedParameters()].map(
      ([name, { diskShape }]) => `${name} ${diskShape.join()}`,
    );
    expect(names).toContain("encoder.layers.0.bias 64");
    expect(names).not.toContain("encoder.layers.2.bias 64"); // Strided convolutions have none.
    expect(names).toContain("encoder.layers.14.weight 4,64,3,3");
    expect(names).toContain("decoder.layers.2.conv.4.weight 64,64,3,3");
    expect(names).toContain("decoder.layers.18.weight 3,64,3,3");
  });

  it("refuses pictures that are no multiple of its factor, and latents of other channels", () => {
    const vae = new AutoencoderTiny({
      encoder_block_out_channels: [4, 4],
      decoder_block_out_channels: [4, 4],
      num_encoder_blocks: [1, 1],
      num_decoder_blocks: [1, 1],
    });
    vae.initialize(keyedNoise(0));
    tf.tidy(() => {
      expect(() => vae.encode(tf.zeros([1, 3, 4, 3]))).toThrow("x is 3 x 4; expected multiples of 2");
      expect(() => vae.decode(tf.zeros([1, 2, 2, 3]))).toThrow("z is [1, 2, 2, 3]");
    });
    vae.dispose();
    expect(() => new AutoencoderTiny({ num_encoder_blocks: [1] })).toThrow("num_encoder_blocks has 1 entries");
  });
});
