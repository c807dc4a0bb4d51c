import { beforeAll, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { train } from "../../training/train.js";
import { useBackend } from "../use-backend.js";
import { memoryOf, type WasmBackend } from "./memory.js";

beforeAll(async () => {
  await useBackend("wasm", { threads: 1 });
});

const wasmBytes = () => memoryOf(tf.backend() as WasmBackend).buffer.byteLength;

it("a hundred steps of training after the warm-up take no new page of wasm memory", async () => {
  const unet = new UNet2DConditionModel({
    sample_size: 8,
    block_out_channels: [16, 24],
    down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
    layers_per_block: 1,
    cross_attention_dim: 8,
    attention_head_dim: 2,
    norm_num_groups: 4,
  });
  unet.initialize(keyedNoise(0));
  const loss = ({ noise }: { noise: ReturnType<typeof keyedNoise> }) => {
    const x = noise.at("x").normal([4, 8, 8, 4]) as tf.Tensor4D;
    const context = noise.at("context").normal([4, 5, 8]) as tf.Tensor3D;
    return unet.forward(x, 500, context).sub(x).square().mean<tf.Scalar>();
  };
  const options = { parameters: unet.parameters(), loss, steps: 110, batchSize: 4, seed: 0, gradientClip: 1 };
  let afterWarmUp = 0;
  for await (const { step } of train({ ...options, emaDecay: 0.99 })) {
    if (step === 10) afterWarmUp = wasmBytes();
    if (step > 10) expect(wasmBytes()).toBe(afterWarmUp);
  }
  expect(afterWarmUp).toBeGreaterThan(0);
  unet.dispose();
});
