import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { above, Golden, loadFixture } from "../../testing/fixture.js";
import { ControlNetModel } from "./controlnet.js";
import { ModelInputError } from "../errors.js";
import type { UNet2DConditionModel } from "./unet-2d-condition.js";

// 10 times the difference between PyTorch's own float32 and float64 (meta.json: 7e-7).
const FORWARD = 1e-5;

describe("ControlNetModel", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it("equals diffusers, and so does the UNet that adds its residuals", async () => {
    const net = await loadFixture<ControlNetModel>("controlnet");
    const unet = await loadFixture<UNet2DConditionModel>("unet_sd1");
    const golden = await Golden.read("controlnet");
    const [x, context] = [
      golden.tensor<tf.Tensor4D>("in.sample"),
      golden.tensor<tf.Tensor3D>("in.encoder_hidden_states"),
    ];
    const cond = golden.tensor<tf.Tensor4D>("in.controlnet_cond");
    const t = golden.tensor("in.timestep").dataSync()[0]!;
    const cases = { scale1: {}, "scale0.7": { scale: 0.7 }, guess: { guessMode: true, scale: 0.8 } };
    const errors = new Map([["without", golden.error("out.unet_without", unet.forward(x, t, context))]]);
    for (const [name, options] of Object.entries(cases)) {
      const before = tf.memory().numTensors;
      const { downResiduals, midResidual } = net.forward(x, t, context, cond, options);
      expect(tf.memory().numTensors).toBe(before + downResiduals.length + 1);
      for (const [i, residual] of downResiduals.entries()) {
        errors.set(`${name} ${i}`, golden.error(`out.${name}.down${i}`, residual));
      }
      errors.set(`${name} mid`, golden.error(`out.${name}.mid`, midResidual));
      const drawn = unet.forward(x, t, context, { downResiduals, midResidual });
      errors.set(`${name} UNet`, golden.error(`out.${name}.unet`, drawn));
    }
    expect(above(FORWARD, errors)).toEqual([]);
  });

  it("changes nothing before it is trained", () => {
    const net = new ControlNetModel({
      block_out_channels: [8],
      down_block_types: ["CrossAttnDownBlock2D"],
      norm_num_groups: 4,
      attention_head_dim: 2,
      cross_attention_dim: 6,
      conditioning_embedding_out_channels: [4, 8],
    });
    net.initialize(keyedNoise(0));
    const cond = tf.ones<tf.Rank.R4>([1, 8, 8, 3]);
    const { downResiduals, midResidual } = net.forward(tf.ones([1, 4, 4, 4]), 3, tf.ones([1, 2, 6]), cond);
    for (const residual of [...downResiduals, midResidual]) expect(residual.abs().max().dataSync()[0]).toBe(0);
    const small = tf.ones<tf.Rank.R4>([1, 4, 4, 3]);
    expect(() => net.forward(tf.ones([1, 4, 4, 4]), 3, tf.ones([1, 2, 6]), small)).toThrow(ModelInputError);
    net.dispose();
  });
});
