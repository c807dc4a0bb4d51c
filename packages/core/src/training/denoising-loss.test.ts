import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise, keyedRandom, schedulerFromConfig, schedulerNames } from "@tfjs-diffusion/schedulers";
import { denoisingLoss, type ForwardProcess, minSnrWeights, type TrainingTarget } from "./denoising-loss.js";

/** Four noise levels, from almost clean to pure noise, and their forward process. */
const ALPHA_BAR = [0.99, 0.8, 0.3, 0];

function makeScheduler(prediction_type?: string): ForwardProcess {
  const mix = (a: tf.Tensor, b: tf.Tensor, timesteps: readonly number[], sign: number) =>
    tf.tidy(() => {
      const column = (f: (alphaBar: number) => number) =>
        tf.tensor(
          timesteps.map((t) => f(ALPHA_BAR[t]!)),
          [timesteps.length, ...a.shape.slice(1).map(() => 1)],
        );
      return a
        .mul(column((alphaBar) => Math.sqrt(alphaBar)))
        .add(b.mul(column((alphaBar) => sign * Math.sqrt(1 - alphaBar))));
    });
  return {
    config: { _class_name: "FourLevels", prediction_type },
    alphaBar: Float64Array.from(ALPHA_BAR),
    addNoise: (x0, noise, timesteps) => mix(x0, noise, timesteps, 1),
    velocity: (x0, noise, timesteps) => mix(noise, x0, timesteps, -1),
  };
}

const makePictures = () => keyedNoise(1).normal([64, 2, 2, 3]) as tf.Tensor4D;

describe("denoisingLoss", () => {
  /** The prediction of a perfect network, computed from the noisy picture and its level. */
  const oracle = (x0: tf.Tensor4D, type: TrainingTarget) => (noisy: tf.Tensor4D, timesteps: number[]) =>
    tf.tidy(() => {
      const column = (f: (alphaBar: number) => number) =>
        tf.tensor4d(
          timesteps.map((t) => f(ALPHA_BAR[t]!)),
          [timesteps.length, 1, 1, 1],
        );
      const signal = column((a) => Math.sqrt(a));
      const spread = column((a) => Math.sqrt(1 - a));
      const epsilon = noisy.sub(x0.mul(signal)).div(spread);
      return type === "sample" ? x0.clone() : type === "epsilon" ? epsilon : epsilon.mul(signal).sub(x0.mul(spread));
    });

  for (const type of ["epsilon", "sample", "v_prediction"] as const) {
    it(`is zero for a perfect network, and not for one that predicts zero (${type})`, () => {
      tf.tidy(() => {
        const x0 = makePictures();
        const shared = { scheduler: makeScheduler(type), x0, noise: keyedNoise(7) };
        // epsilon = (x_t - sqrt(alphaBar) x0) / sqrt(1 - alphaBar) loses a factor of 10 of float32's 6e-8 at alphaBar =
        // 0.99: squared, below 1e-11.
        expect(denoisingLoss({ ...shared, model: oracle(x0, type) }).dataSync()[0]).toBeLessThan(1e-11);
        expect(denoisingLoss({ ...shared, model: (noisy) => tf.zerosLike(noisy) }).dataSync()[0]).toBeGreaterThan(0.5);
      });
    });
  }

  it("has the noise as its target if the config names no prediction type", () => {
    tf.tidy(() => {
      const x0 = makePictures();
      const loss = denoisingLoss({
        scheduler: makeScheduler(),
        x0,
        noise: keyedNoise(7),
        model: oracle(x0, "epsilon"),
      });
      expect(loss.dataSync()[0]).toBeLessThan(1e-11);
    });
  });

  it("visits every timestep, depends only on its noise, and draws other timesteps from another stream", () => {
    tf.tidy(() => {
      const draw = (step: number) => {
        let seen: number[] = [];
        const model = (noisy: tf.Tensor4D, timesteps: number[]) => ((seen = timesteps), tf.zerosLike(noisy));
        const loss = denoisingLoss({
          scheduler: makeScheduler(),
          x0: makePictures(),
          noise: keyedNoise(7).at(step),
          model,
        });
        return { seen, loss: loss.dataSync()[0] };
      };
      expect(new Set(draw(1).seen)).toEqual(new Set([0, 1, 2, 3]));
      expect(draw(1)).toEqual(draw(1));
      expect(draw(2).seen).not.toEqual(draw(1).seen);
    });
  });

  it("weights each picture's error by its noise level if minSnrGamma is given", () => {
    tf.tidy(() => {
      let levels: number[] = [];
      const noise = keyedNoise(3);
      const x0 = makePictures();
      const model = (noisy: tf.Tensor4D, timesteps: number[]) => ((levels = timesteps), tf.zerosLike(noisy));
      const loss = denoisingLoss({
        scheduler: makeScheduler("sample"),
        x0,
        noise,
        model,
        minSnrGamma: 2,
      }).dataSync()[0]!;
      const squares = x0.square().mean([1, 2, 3]).dataSync();
      const expected =
        levels.reduce((sum, t, i) => sum + Math.min(2, ALPHA_BAR[t]! / (1 - ALPHA_BAR[t]!)) * squares[i]!, 0) / 64;
      expect(loss).toBeCloseTo(expected, 5);
    });
  });

  it("has the gradient of finite differences", () => {
    tf.tidy(() => {
      const lossAt = (gain: tf.Scalar) =>
        denoisingLoss({
          scheduler: makeScheduler("v_prediction"),
          x0: makePictures(),
          noise: keyedNoise(3),
          model: (noisy) => noisy.mul(gain),
          minSnrGamma: 5,
        });
      const gradient = tf
        .grad((gain: tf.Tensor) => lossAt(gain as tf.Scalar))(tf.scalar(0.3))
        .dataSync()[0]!;
      const at = (gain: number) => lossAt(tf.scalar(gain)).dataSync()[0]!;
      // The loss is quadratic in the gain, so the central difference is exact; float32 leaves 1e-7 / 0.2.
      expect(Math.abs(gradient - (at(0.4) - at(0.2)) / 0.2)).toBeLessThan(3e-6);
    });
  });

  it("leaves only its result", () => {
    const x0 = makePictures();
    const before = tf.memory().numTensors;
    for (const minSnrGamma of [undefined, 5]) {
      denoisingLoss({
        scheduler: makeScheduler(),
        x0,
        noise: keyedNoise(3),
        model: (noisy) => noisy.clone(),
        minSnrGamma,
      }).dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
    x0.dispose();
  });

  it("refuses an unknown prediction type and a network whose output has another shape", () => {
    tf.tidy(() => {
      const shared = { x0: makePictures(), noise: keyedNoise(3) };
      const model = (noisy: tf.Tensor4D) => noisy.slice([0, 0, 0, 0], [64, 2, 2, 1]);
      expect(() => denoisingLoss({ ...shared, model, scheduler: makeScheduler("flow") })).toThrow(
        'prediction_type "flow" is unknown',
      );
      expect(() => denoisingLoss({ ...shared, model, scheduler: makeScheduler() })).toThrow(
        "the network's prediction against the pictures",
      );
    });
  });
});

describe("denoisingLoss of a scheduler", () => {
  const trained = schedulerNames.filter((name) => name !== "CMStochasticIterativeScheduler");

  it.each(trained)("is zero for a network that predicts what the sampler expects: %s", (_class_name) => {
    const scheduler = schedulerFromConfig({ _class_name });
    const rule = scheduler.training!;
    const time = rule.drawTime(keyedRandom(1, "time"));
    const { input, target, timestep } = rule.at(time);
    tf.tidy(() => {
      // All pictures are equal, so the noise can be computed from the network's input.
      const x0 = tf.fill<tf.Rank.R4>([8, 2, 2, 3], 0.25);
      const model = (shown: tf.Tensor4D, told: number[]) => {
        expect(told).toEqual(Array(8).fill(timestep));
        const noise = shown.sub(input.ofX0 * 0.25).div(input.ofNoise);
        return noise.mul(target.ofNoise).add(target.ofX0 * 0.25);
      };
      const loss = denoisingLoss({ scheduler, x0, noise: keyedNoise(7), times: () => time, model }).dataSync()[0]!;
      // The computed noise has a float32 error of 6e-8 of the input, which is squared and weighted.
      const rounding = (6e-8 * (input.ofX0 / input.ofNoise + 1) * (Math.abs(target.ofNoise) + 1)) ** 2;
      expect(loss).toBeLessThan(10 * rounding * rule.at(time).weight);
    });
  });

  it("is refused for networks that are not trained by regression", () => {
    const scheduler = schedulerFromConfig({ _class_name: "CMStochasticIterativeScheduler" });
    const shared = { x0: makePictures(), noise: keyedNoise(1), model: (noisy: tf.Tensor4D) => noisy };
    expect(() => denoisingLoss({ ...shared, scheduler })).toThrow("distilled, not trained on noisy samples");
    tf.dispose(shared.x0);
  });

  it("has no min-SNR weights for a velocity along a straight line", () => {
    const scheduler = schedulerFromConfig({ _class_name: "FlowMatchEulerDiscreteScheduler" });
    const shared = { x0: makePictures(), noise: keyedNoise(1), model: (noisy: tf.Tensor4D) => noisy };
    expect(() => denoisingLoss({ ...shared, scheduler, minSnrGamma: 5 })).toThrow(
      "predict flow_prediction. Leave it out.",
    );
    tf.dispose(shared.x0);
  });
});

describe("minSnrWeights", () => {
  it("gives the same error of x0 the same weight for every prediction type", () => {
    // With x_t fixed, an error d of x0 is an error d sqrt(snr) of epsilon and d sqrt(snr + 1) of v.
    const [a] = [0.95];
    const snr = a / (1 - a);
    const [ofX0] = minSnrWeights([a], "sample");
    expect(minSnrWeights([a], "epsilon")[0]! * snr).toBeCloseTo(ofX0!, 12);
    expect(minSnrWeights([a], "v_prediction")[0]! * (snr + 1)).toBeCloseTo(ofX0!, 12);
    expect(ofX0).toBe(5);
  });

  it("is finite from the clean picture to pure noise", () => {
    expect(minSnrWeights([1, 0], "epsilon")).toEqual([0, 1]);
    expect(minSnrWeights([1, 0], "sample", 3)).toEqual([3, 0]);
    expect(minSnrWeights([1, 0], "v_prediction")).toEqual([0, 0]);
  });

  it("refuses a gamma that is not positive", () => {
    expect(() => minSnrWeights([0.5], "epsilon", 0)).toThrow(RangeError);
  });
});
