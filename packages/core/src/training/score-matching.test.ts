/** Denoising score matching learns the score of the noisy data, though it is only asked for that of the noise. */
import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise, mixtureDenoiser, type Network, ScoreSdeVeScheduler } from "@tfjs-diffusion/schedulers";
import { denoisingLoss } from "./denoising-loss.js";
import { bellsSample, exactNetwork, TWO_BELLS } from "./testing/exact-network.js";

const scheduler = new ScoreSdeVeScheduler({ sigma_max: 10 });
const SAMPLES = 40_000;
const TIME = 0.55;
const { sigma } = { sigma: scheduler.training.at(TIME).input.ofNoise };

/** The score of the noisy data, (E[x0 | x] - x) / sigma^2. */
const score = (x: tf.Tensor2D) =>
  tf.tidy(() =>
    mixtureDenoiser(TWO_BELLS, x, { alpha: 1, sigma })
      .sub<tf.Tensor2D>(x)
      .div(sigma ** 2),
  );

describe("Denoising score matching", () => {
  it("differs from matching the true score by a number that no network changes (Vincent 2011, section 4.3)", () => {
    tf.tidy(() => {
      const x0 = bellsSample(SAMPLES, keyedNoise(1));
      const differences = [0, 0.5, 1, 1.5].map((gain) => {
        let ofTrueScore = 0;
        const model: Network<tf.Tensor2D> = (x) => {
          const output = score(x).mul(gain).add(0.1);
          ofTrueScore = output
            .sub(score(x))
            .square()
            .mean()
            .mul(sigma ** 2)
            .dataSync()[0]!;
          return output;
        };
        const loss = denoisingLoss({ scheduler, model, x0, noise: keyedNoise(2), times: () => TIME });
        return loss.dataSync()[0]! - ofTrueScore;
      });
      const constant = differences[2]!;
      // The difference of two networks is 2 mean(output . (noise / sigma + score)) sigma^2: a mean of 80,000 numbers of
      // size 1, so 0.0035 each; four of it. Without the identity it would be of size 1.
      for (const difference of differences) expect(Math.abs(difference - constant)).toBeLessThan(0.014);
      // What is left with the true score is what nobody can know of the noise.
      expect(constant).toBeGreaterThan(0.1);
    });
  });

  it("has its least loss at the true score", () => {
    tf.tidy(() => {
      const x0 = bellsSample(4096, keyedNoise(3));
      const lossOf = (gain: number) => {
        const model: Network<tf.Tensor2D> = (x) => score(x).mul(gain);
        return denoisingLoss({ scheduler, model, x0, noise: keyedNoise(4), times: () => TIME }).dataSync()[0]!;
      };
      expect(lossOf(1)).toBeLessThan(Math.min(lossOf(0.8), lossOf(1.2)));
      const exact = exactNetwork(scheduler);
      const ofExact = denoisingLoss({ scheduler, model: exact, x0, noise: keyedNoise(4), times: () => TIME });
      expect(Math.abs(ofExact.dataSync()[0]! - lossOf(1))).toBeLessThan(1e-4);
    });
  });
});
