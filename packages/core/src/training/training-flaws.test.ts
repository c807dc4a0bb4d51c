import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { denoisingLoss } from "./denoising-loss.js";
import { trainingFlaws } from "./training-flaws.js";

const make = (config: object, _class_name = "DDIMScheduler") => schedulerFromConfig({ _class_name, ...config });

describe("Settings with which a well-trained network samples badly", () => {
  it("are not found in published configs", () => {
    const stableDiffusion = {
      beta_schedule: "scaled_linear",
      beta_start: 0.00085,
      beta_end: 0.012,
      clip_sample: false,
    };
    for (const scheduler of [
      make(stableDiffusion),
      make({ ...stableDiffusion, timestep_spacing: "leading" }, "EulerDiscreteScheduler"),
      make({}, "DDPMScheduler"),
      make({ beta_schedule: "squaredcos_cap_v2" }, "DDPMScheduler"),
      make({ prediction_type: "v_prediction", rescale_betas_zero_snr: true, timestep_spacing: "trailing" }),
      make({}, "FlowMatchEulerDiscreteScheduler"),
      make({}, "EDMEulerScheduler"),
    ]) {
      expect(trainingFlaws(scheduler, 1)).toEqual([]);
    }
  });

  it("include clip_sample with data outside its range", () => {
    expect(trainingFlaws(make({ clip_sample: true }), 3)[0]).toMatch(/keeps samples in \[-1, 1\]; the data reach 3.00/);
    expect(trainingFlaws(make({ clip_sample: true, clip_sample_range: 4 }), 3)).toEqual([]);
    expect(trainingFlaws(make({ clip_sample: false }), 3)).toEqual([]);
  });

  it("include a schedule that leaves signal at its end", () => {
    // Ho et al.'s betas over 100 steps: the product of 1 - beta is 0.36.
    expect(trainingFlaws(make({ num_train_timesteps: 100 }))[0]).toMatch(/still holds 60 % of the signal/);
  });

  it("include epsilon if sampling starts without signal", () => {
    const config = { beta_schedule: "squaredcos_cap_v2", timestep_spacing: "trailing" };
    expect(trainingFlaws(make({ ...config, clip_sample: false }))[0]).toMatch(/cannot be computed from epsilon/);
    expect(trainingFlaws(make({ ...config, clip_sample: true }), 1)).toEqual([]);
    expect(trainingFlaws(make({ ...config, clip_sample: true }), 5)).toHaveLength(2);
    expect(trainingFlaws(make({ ...config, prediction_type: "v_prediction", clip_sample: false }))).toEqual([]);
  });
});

describe("denoisingLoss", () => {
  let warn: jest.SpiedFunction<typeof console.warn>;
  beforeEach(() => {
    warn = jest.spyOn(console, "warn").mockImplementation(() => undefined);
  });
  afterEach(() => warn.mockRestore());

  it("are warned of once for each scheduler, without leaving a tensor", async () => {
    const scheduler = make({ clip_sample: true });
    const x0 = tf.fill<tf.Rank.R4>([2, 2, 2, 3], 3);
    const before = tf.memory().numTensors;
    const model = (noisy: tf.Tensor4D) => noisy.clone();
    for (let i = 0; i < 3; i++) denoisingLoss({ scheduler, x0, noise: keyedNoise(i), model }).dispose();
    await new Promise((resolve) => setTimeout(resolve));
    const said = warn.mock.calls.map(([message]) => String(message)).filter((message) => /^DDIM/.test(message));
    expect(said).toEqual([expect.stringMatching(/Set clip_sample to false, or scale the data/)]);
    expect(tf.memory().numTensors).toBe(before);
    x0.dispose();
  });
});
