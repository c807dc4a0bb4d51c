import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { AutoencoderKL } from "@tfjs-diffusion/core/models";
import { keyedNoise, replayNoise } from "@tfjs-diffusion/schedulers";
import { PORTRAITS } from "../../datasets/portraits/index.js";
import { TrainingPictures } from "../training-pictures.js";
import { TrainingLatents } from "./training-latents.js";

describe("Latents of a training set", () => {
  const pictures = new TrainingPictures(PORTRAITS, 0, 6);
  let vae: AutoencoderKL;
  beforeAll(async () => {
    await useBackend("wasm");
    vae = new AutoencoderKL({
      block_out_channels: [8, 8, 8],
      down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
      up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
      norm_num_groups: 4,
      scaling_factor: 0.5,
    });
    vae.initialize(keyedNoise(0));
  });
  afterAll(() => vae.dispose());

  it("are the scaled mean if the noise is 0, and one scaled deviation away if it is 1", () => {
    const latents = TrainingLatents.encode(vae, pictures);
    tf.tidy(() => {
      const shape = [2, 8, 8, 4];
      const still = latents.batch([4, 1], replayNoise([tf.zeros(shape)]));
      const moved = latents.batch([4, 1], replayNoise([tf.ones(shape)]));
      const { mean, logvar } = vae.encode(pictures.batch([4, 1]));
      const error = (a: tf.Tensor, b: tf.Tensor) => a.sub(b).abs().max().dataSync()[0];
      expect(error(still, mean.mul(0.5))).toBeLessThan(1e-5);
      expect(error(moved.sub(still), logvar.mul(0.5).exp().mul(0.5))).toBeLessThan(1e-5);
    });
  });

  it("leak no tensor", () => {
    const latents = TrainingLatents.encode(vae, pictures);
    const before = tf.memory().numTensors;
    const batch = latents.batch([0, 1, 2], keyedNoise(1));
    expect(tf.memory().numTensors).toBe(before + 1);
    batch.dispose();
  });
});
