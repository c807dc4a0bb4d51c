import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  type Denoise,
  EDMEulerScheduler,
  edmHeun,
  karrasSigmas,
  keyedNoise,
  mixtureDenoiser,
  type Network,
  preconditioning,
} from "@tfjs-diffusion/schedulers";
import { denoisingLoss } from "./denoising-loss.js";
import { edmLoss, preconditioned } from "./edm.js";

const BELLS = {
  means: [
    [0.6, -0.3],
    [-0.5, 0.4],
  ],
  deviation: 0.2,
};
/** Another function of x and of what the network is told. */
const someNetwork: Network<tf.Tensor2D> = (x, told) =>
  tf.tidy(() =>
    x
      .mul(2)
      .add(tf.tensor2d(told, [told.length, 1]))
      .tanh(),
  );
const samples = (seed: number) => keyedNoise(seed).normal([64, 2]) as tf.Tensor2D;

describe("preconditioned", () => {
  it("is D(x; sigma) = c_skip x + c_out F(c_in x; ln(sigma) / 4), one sigma a sample", () => {
    const sigmas = [0.01, 0.5, 30];
    tf.tidy(() => {
      const x = tf.tensor2d([
        [1, -2],
        [0.3, 0.1],
        [40, -20],
      ]);
      const values = preconditioned(someNetwork, 0.5)(x, sigmas).arraySync() as number[][];
      sigmas.forEach((sigma, i) => {
        const n = Math.sqrt(sigma ** 2 + 0.25);
        (x.arraySync()[i] as number[]).forEach((value, d) => {
          const output = Math.tanh((2 * value) / n + Math.log(sigma) / 4);
          const expected = (0.25 / n ** 2) * value + ((0.5 * sigma) / n) * output;
          expect(Math.abs(values[i]![d]! - expected)).toBeLessThan(1e-6 * (1 + Math.abs(value)));
        });
      });
    });
  });

  it("shows the network variance 1 and asks it for variance 1, whatever the noise level", () => {
    for (const sigma of [0.002, 0.5, 80]) {
      const { skip, out, in: scale } = preconditioning(sigma, 0.3);
      const x0 = 0.3 ** 2;
      expect(scale ** 2 * (x0 + sigma ** 2)).toBeCloseTo(1, 12);
      // The target is (x0 - c_skip (x0 + sigma n)) / c_out.
      expect(((1 - skip) ** 2 * x0 + (skip * sigma) ** 2) / out ** 2).toBeCloseTo(1, 9);
    }
  });

  it("refuses a noise level of 0", () => {
    expect(() => preconditioning(0)).toThrow("both must be positive");
  });
});

describe("edmLoss", () => {
  it("is the loss of the network inside, with EDMEulerScheduler, on the same noise", () => {
    tf.tidy(() => {
      const [x0, noise] = [samples(1), keyedNoise(2)];
      const outer = edmLoss({ denoise: preconditioned(someNetwork), x0, noise }).dataSync()[0]!;
      const inner = denoisingLoss({ scheduler: new EDMEulerScheduler(), model: someNetwork, x0, noise }).dataSync()[0]!;
      // Errors near 1 in float32, divided by c_out.
      expect(Math.abs(outer - inner)).toBeLessThan(1e-4 * inner);
    });
  });

  it("frees every tensor but its result, and has a gradient", () => {
    const x0 = samples(1);
    const gain = tf.variable(tf.scalar(0.5));
    const before = tf.memory().numTensors;
    const denoise = preconditioned<tf.Tensor2D>((x) => x.mul(gain));
    const { value, grads } = tf.variableGrads(() => edmLoss({ denoise, x0, noise: keyedNoise(2) }), [gain]);
    const at = (g: number) =>
      tf.tidy(
        () =>
          edmLoss({ denoise: preconditioned<tf.Tensor2D>((x) => x.mul(g)), x0, noise: keyedNoise(2) }).dataSync()[0]!,
      );
    // Quadratic in the gain: the central difference is exact.
    expect(Math.abs(grads[gain.name]!.dataSync()[0]! - (at(0.6) - at(0.4)) / 0.2)).toBeLessThan(1e-4);
    tf.dispose([value, grads]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x0, gain]);
  });
});

describe("edmHeun", () => {
  const exact: Denoise<tf.Tensor2D> = (x, [sigma]) => mixtureDenoiser(BELLS, x, { alpha: 1, sigma: sigma! });

  it("draws, with the exact denoiser wrapped as a network, what the exact denoiser draws", () => {
    // F = (D - c_skip x) / c_out, undone by the wrapper.
    const network: Network<tf.Tensor2D> = (shown, told) =>
      tf.tidy(() => {
        const sigma = Math.exp(4 * told[0]!);
        const { skip, out, in: scale } = preconditioning(sigma);
        const x = shown.div<tf.Tensor2D>(scale);
        return exact(x, [sigma]).sub(x.mul(skip)).div(out);
      });
    tf.tidy(() => {
      const sigmas = [...karrasSigmas(10, 10, 0.01), 0];
      const start = samples(3);
      const difference = edmHeun(preconditioned(network), start, sigmas).sub(edmHeun(exact, start, sigmas));
      expect(difference.abs().max().dataSync()[0]).toBeLessThan(1e-4);
    });
  });
});
