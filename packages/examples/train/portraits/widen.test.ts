import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { keyedNoise, keyedRandom } from "@tfjs-diffusion/schedulers";
import { randomMasks } from "./masks.js";
import { widenConvIn } from "./widen.js";

beforeAll(() => useBackend("wasm"));

describe("A UNet with a wider first convolution", () => {
  it("gives the same output for any values of the new channels, until they are trained", () => {
    const unet = new UNet2DConditionModel({
      sample_size: 4,
      block_out_channels: [8],
      layers_per_block: 1,
      down_block_types: ["CrossAttnDownBlock2D"],
      up_block_types: ["CrossAttnUpBlock2D"],
      cross_attention_dim: 6,
      attention_head_dim: 2,
      norm_num_groups: 4,
    });
    unet.initialize(keyedNoise(0));
    expect(() => widenConvIn(unet, 3)).toThrow("in_channels is 3; give a whole number, at least 4");
    const wide = widenConvIn(unet, 9);
    const x = keyedNoise(1).normal([2, 4, 4, 4]) as tf.Tensor4D;
    const more = keyedNoise(2).normal([2, 4, 4, 5]) as tf.Tensor4D;
    const context = keyedNoise(3).normal([2, 3, 6]) as tf.Tensor3D;
    const error = () =>
      tf.tidy(() => {
        const difference = wide.forward(tf.concat([x, more], 3), 500, context).sub(unet.forward(x, 500, context));
        return difference.abs().max().dataSync()[0]!;
      });
    expect(error()).toBeLessThan(1e-5);
    const first = wide.parameters().get("conv_in.weight")!;
    expect(first.shape).toEqual([3, 3, 9, 8]);
    tf.tidy(() => first.assign(first.add(0.1)));
    expect(error()).toBeGreaterThan(0.1);
    tf.dispose([x, more, context]);
    unet.dispose();
    wide.dispose();
  });
});

describe("Masks for learning to inpaint", () => {
  it("are rectangles, their surroundings, or everything; they depend on the seed, and cover and spare every latent at some time", () => {
    tf.tidy(() => {
      const masks = randomMasks(200, 8, keyedRandom(0, "masks"));
      expect(masks.shape).toEqual([200, 8, 8, 1]);
      const rows = masks.reshape([200, 64]);
      expect([...new Set(masks.dataSync())].sort()).toEqual([0, 1]);
      const shares = rows.mean(1).dataSync();
      const all = shares.filter((share) => share === 1).length / 200;
      expect(Math.abs(all - 0.15)).toBeLessThan(0.08); // Three deviations for 200 draws.
      expect(Math.min(...shares)).toBeGreaterThan(0);
      const places = rows.mean(0).dataSync();
      for (const share of places) expect(Math.abs(share - 0.5)).toBeLessThan(0.4);
      const other = randomMasks(200, 8, keyedRandom(1, "masks"));
      expect(masks.sub(other).abs().max().dataSync()[0]).toBe(1);
    });
  });
});
