import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { AutoencoderKL } from "@tfjs-diffusion/core/models";
import { keyedNoise, replayNoise } from "@tfjs-diffusion/schedulers";
import { autoencoderLoss } from "./autoencoder-loss.js";

const WEIGHTS = { squared: 1, edges: 0.5, kl: 3e-4 };

/**
 * A stand-in for an autoencoder: `encode` gives latents N(mean, exp(logvar)), `decode` a picture that does not depend
 * on them.
 */
const stub = (mean: tf.Tensor4D, logvar: tf.Tensor4D, picture: tf.Tensor4D) =>
  ({ encode: () => ({ mean, logvar }), decode: () => picture.clone() }) as unknown as AutoencoderKL;

describe("The loss of an autoencoder", () => {
  let vae: AutoencoderKL;
  beforeAll(async () => {
    await useBackend("wasm");
    vae = new AutoencoderKL({
      sample_size: 8,
      norm_num_groups: 4,
      block_out_channels: [8, 8],
      down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
      up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
    });
    vae.initialize(keyedNoise(0));
  });
  afterAll(() => vae.dispose());

  it("is the sum of its parts, computed by hand for a picture with one wrong pixel", () => {
    tf.tidy(() => {
      const x = tf.zeros<tf.Rank.R4>([1, 4, 4, 3]);
      const wrong = tf.buffer<tf.Rank.R4>([1, 4, 4, 3]);
      for (let c = 0; c < 3; c++) wrong.set(0.5, 0, 1, 1, c);
      const mean = tf.fill<tf.Rank.R4>([1, 2, 2, 4], 2);
      const logvar = tf.fill<tf.Rank.R4>([1, 2, 2, 4], -1);
      const loss = autoencoderLoss(stub(mean, logvar, wrong.toTensor()), x, keyedNoise(0), WEIGHTS).dataSync()[0]!;
      const absolute = 0.5 / 16;
      const squared = 0.25 / 16;
      // Two of the twelve differences along each axis are 0.5.
      const edges = 2 * ((2 * 0.5) / 12);
      const kl = (4 + Math.exp(-1) - 1 + 1) / 2;
      expect(loss).toBeCloseTo(absolute + squared + 0.5 * edges + 3e-4 * kl, 6);
    });
  });

  it("draws the latents from their distribution: mean + exp(logvar / 2) times the noise", () => {
    tf.tidy(() => {
      const x = tf.zeros<tf.Rank.R4>([1, 4, 4, 3]);
      let decoded: number | undefined;
      const seen = {
        encode: () => ({ mean: tf.ones([1, 1, 1, 1]), logvar: tf.fill([1, 1, 1, 1], Math.log(4)) }),
        decode: (z: tf.Tensor4D) => {
          decoded = z.dataSync()[0]!;
          return x.clone();
        },
      } as unknown as AutoencoderKL;
      autoencoderLoss(seen, x, replayNoise([tf.tensor([3], [1, 1, 1, 1])]), WEIGHTS);
      expect(decoded).toBeCloseTo(7, 5);
    });
  });

  it("has a gradient for every parameter, and falls along it", () => {
    const x = keyedNoise(1).uniform([2, 8, 8, 3]) as tf.Tensor4D;
    const loss = () => autoencoderLoss(vae, x, keyedNoise(2), WEIGHTS);
    const { value, grads } = tf.variableGrads(loss, [...vae.parameters().values()]);
    expect(Object.keys(grads)).toHaveLength(vae.parameters().size);
    const before = value.dataSync()[0]!;
    for (const variable of vae.parameters().values()) {
      const gradient = grads[variable.name]!;
      expect(gradient.abs().sum().dataSync()[0]).toBeGreaterThan(0);
      variable.assign(tf.tidy(() => variable.sub(gradient.mul(1e-3))));
    }
    expect(loss().dataSync()[0]).toBeLessThan(before);
    tf.dispose([x, value, grads]);
  });

  it("frees every tensor but its result", () => {
    const x = keyedNoise(1).uniform([2, 8, 8, 3]) as tf.Tensor4D;
    const before = tf.memory().numTensors;
    autoencoderLoss(vae, x, keyedNoise(2), WEIGHTS).dispose();
    expect(tf.memory().numTensors).toBe(before);
    x.dispose();
  });
});
