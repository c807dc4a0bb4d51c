import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../testing/backend.js";
import { attend } from "./attention.js";
import { SelfAttention2D } from "./spatial-attention.js";

const LIMIT = 256 * 2 ** 20;

beforeAll(useTestBackend);

/**
 * The peak of the bytes that `f` allocates, and the largest single tensor that a kernel makes.
 */
async function memoryOf(f: () => tf.Tensor): Promise<{ peak: number; largest: number }> {
  const before = tf.memory().numBytes;
  const { peakBytes, kernels } = await tf.profile(f);
  const sizes = kernels.flatMap(({ outputShapes }) => outputShapes.map((shape) => 4 * tf.util.sizeFromShape(shape)));
  return { peak: peakBytes - before, largest: Math.max(...sizes) };
}

describe("Attention over large pictures", () => {
  it.each([false, true])(
    "of SD at 64 x 64 latents with guidance holds at most 256 MiB of its 1 GiB of scores; masked: %s",
    async (masked) => {
      // The number of heads of SD 1. They are narrower here, because the scores do not depend on the width.
      const [batch, tokens, heads, channels] = [2, 64 * 64, 8, 32];
      const [q, k, v] = [1, 2, 3].map((seed) => keyedNoise(seed).normal([batch, tokens, channels]) as tf.Tensor3D);
      const mask = masked ? tf.zeros([batch, 1, 1, tokens]) : undefined;
      const { peak, largest } = await memoryOf(() => tf.tidy(() => attend(q!, k!, v!, heads, mask)));
      expect(4 * batch * heads * tokens ** 2).toBe(2 ** 30);
      expect(largest).toBeLessThanOrEqual(LIMIT / 4);
      expect(peak).toBeLessThan(LIMIT);
      tf.dispose([q!, k!, v!, mask ?? []]);
    },
  );

  it("of the autoencoder at 128 x 128 latents (1024 x 1024 pixels) holds no more", async () => {
    const layer = new SelfAttention2D(4, { heads: 1, groups: 2, eps: 1e-6 });
    const noise = keyedNoise(0);
    for (const [i, { weight, bias }] of [
      layer.group_norm!,
      layer.to_q,
      layer.to_k,
      layer.to_v,
      layer.to_out[0],
    ].entries())
      tf.tidy(() => [weight, bias!].forEach((p, j) => p.assign(noise.at(i, j).normal(p.shape))));
    const x = keyedNoise(1).normal([1, 128, 128, 4]) as tf.Tensor4D;
    const { peak, largest } = await memoryOf(() => layer.forward(x));
    expect(largest).toBeLessThanOrEqual(LIMIT / 4);
    expect(peak).toBeLessThan(LIMIT);
    x.dispose();
  });
});
