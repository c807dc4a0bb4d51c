import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import type { ControlNetModel } from "../models/unet/controlnet.js";
import { loadModel } from "../models/load-model.js";
import { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../testing/backend.js";
import { newControlNet } from "./controlnet.js";
import { denoisingLoss } from "./denoising-loss.js";
import { train } from "./train.js";

let unet: UNet2DConditionModel;
let x: tf.Tensor4D;
let context: tf.Tensor3D;
let pictures: tf.Tensor4D;

beforeAll(async () => {
  await useTestBackend();
  unet = new UNet2DConditionModel({
    sample_size: 4,
    in_channels: 3,
    out_channels: 3,
    block_out_channels: [8, 8],
    layers_per_block: 1,
    down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
    cross_attention_dim: 6,
    attention_head_dim: 2,
    norm_num_groups: 4,
  });
  unet.initialize(keyedNoise(0));
  x = keyedNoise(1).normal([4, 4, 4, 3]) as tf.Tensor4D;
  context = keyedNoise(2).normal([4, 3, 6]) as tf.Tensor3D;
  // Two times as large as x.
  pictures = keyedNoise(3).uniform([4, 8, 8, 1]) as tf.Tensor4D;
});
afterAll(() => {
  tf.dispose([x, context, pictures]);
  unet.dispose();
});

const start = () =>
  newControlNet(unet, {
    noise: keyedNoise(4),
    conditioning_channels: 1,
    conditioning_embedding_out_channels: [4, 8],
  });

describe("A new ControlNet", () => {
  it("copies the way down of its UNet, and at first changes nothing of what it draws", () => {
    const controlNet = start();
    const copied = unet.parameters();
    const own = [...controlNet.parameters()].filter(([name]) => !copied.has(name)).map(([name]) => name);
    expect(own.every((name) => name.startsWith("controlnet_"))).toBe(true);
    tf.tidy(() => {
      const control = controlNet.forward(x, 100, context, pictures);
      expect([...unet.forward(x, 100, context, control).dataSync()]).toEqual([
        ...unet.forward(x, 100, context).dataSync(),
      ]);
    });
    controlNet.dispose();
  });

  it("learns, by the usual loop, what no UNet alone can know, leaves the UNet as it is, and is saved to be loaded", async () => {
    const controlNet = start();
    const scheduler = new DDIMScheduler({ clip_sample: false, prediction_type: "sample" });
    const untouched = [...unet.parameters().values()].map((variable) => variable.dataSync().join());
    // The clean picture is the control picture, in its coarse pixels: without it, only the mean can be known.
    const x0 = tf.tidy(() => tf.avgPool(pictures, 2, 2, "valid").mul(4).sub(2).tile<tf.Tensor4D>([1, 1, 1, 3]));
    const lossWith = (noise: ReturnType<typeof keyedNoise>) =>
      denoisingLoss({
        scheduler,
        noise,
        x0,
        times: () => 950,
        model: (noisy, timesteps) => {
          const t = tf.tensor1d(timesteps);
          return unet.forward(noisy, t, context, controlNet.forward(noisy, t, context, pictures));
        },
      });
    const held = tf.memory().numTensors;
    const losses: number[] = [];
    const options = { parameters: controlNet.parameters(), steps: 60, batchSize: 4, seed: 0, schedule: 1e-2 };
    for await (const { loss } of train({ ...options, loss: ({ noise }) => lossWith(noise) })) losses.push(loss);
    expect(tf.memory().numTensors).toBe(held);
    expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
    expect([...unet.parameters().values()].map((variable) => variable.dataSync().join())).toEqual(untouched);

    const folder = mkdtempSync(join(tmpdir(), "controlnet-"));
    try {
      await controlNet.save(folder);
      const loaded = (await loadModel(folder)) as ControlNetModel;
      tf.tidy(() => {
        const [a, b] = [controlNet, loaded].map((net) => net.forward(x, 100, context, pictures).midResidual);
        expect([...a!.dataSync()]).toEqual([...b!.dataSync()]);
        expect(Math.max(...a!.dataSync())).toBeGreaterThan(0);
      });
      loaded.dispose();
    } finally {
      rmSync(folder, { recursive: true });
    }
    controlNet.dispose();
    x0.dispose();
  });
});
