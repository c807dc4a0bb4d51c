import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { useBackend } from "../backend/use-backend.js";
import { fill, Golden, readConfig } from "../testing/fixture.js";
import type { UNet2DConditionConfig } from "./unet-2d-condition-config.js";
import { UNet2DConditionModel, type UNet2DConditionInputs } from "./unet-2d-condition.js";

// Tolerances: 10 times the difference between PyTorch's own float32 and float64 (meta.json: 6e-7 to 1e-6 forward,
// 3e-6 for gradients).
const FORWARD = 1e-5;
const GRADIENT = 5e-5;

async function load(folder: string): Promise<UNet2DConditionModel> {
  const unet = new UNet2DConditionModel(await readConfig<UNet2DConditionConfig>(folder));
  await fill(unet, `${folder}/diffusion_pytorch_model.safetensors`);
  return unet;
}

function optionalInputs(golden: Golden): UNet2DConditionInputs {
  const optional = <T extends tf.Tensor>(name: string) => (golden.has(name) ? golden.tensor<T>(name) : undefined);
  return {
    textEmbeds: optional("in.text_embeds"),
    timeIds: optional("in.time_ids"),
    timestepCond: optional("in.timestep_cond"),
    classLabels: optional("in.class_labels"),
    encoderAttentionMask: optional("in.encoder_attention_mask") ?? optional("in.attention_mask"),
  };
}

describe("UNet2DConditionModel", () => {
  beforeAll(async () => {
    await useBackend(process.env["TEST_BACKEND"] ?? "wasm");
  });

  for (const folder of [
    "unet_sd1",
    "unet_sd2",
    "unet_sdxl",
    "unet_lcm",
    "unet_masked",
    "unet_inpaint9",
    "unclip_decoder",
  ]) {
    it(`equals diffusers on ${folder}, at every stored timestep`, async () => {
      const unet = await load(folder);
      const golden = await Golden.read(folder);
      for (const t of golden.tensor("in.timesteps").dataSync()) {
        const got = unet.forward(
          golden.tensor("in.sample"),
          t,
          golden.tensor("in.encoder_hidden_states"),
          optionalInputs(golden),
        );
        expect(golden.error(`out.t${t}`, got)).toBeLessThan(FORWARD);
      }
      unet.dispose();
    });
  }
});
