import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  keyedNoise,
  type Network,
  type Scheduler,
  schedulerFromConfig,
  type TrainingLevel,
} from "@tfjs-diffusion/schedulers";
import { diagnose, type DiagnoseOptions } from "./diagnose.js";
import { bellsSample, exactNetwork } from "./testing/exact-network.js";

const SOUND = {
  "DDIM, epsilon": { _class_name: "DDIMScheduler", clip_sample: false },
  "DDIM, v": { _class_name: "DDIMScheduler", clip_sample: false, prediction_type: "v_prediction" },
  Euler: { _class_name: "EulerDiscreteScheduler" },
  "flow matching": { _class_name: "FlowMatchEulerDiscreteScheduler" },
  EDM: { _class_name: "EDMEulerScheduler", sigma_data: 0.45 },
} as const;
const make = (name: keyof typeof SOUND, changes: object = {}) => schedulerFromConfig({ ...SOUND[name], ...changes });

type Changes = Partial<DiagnoseOptions<tf.Tensor2D>>;

/** What is found for a sound network and scheduler in which something is changed. */
function found(scheduler: Scheduler, { x0: given, ...changes }: Changes = {}) {
  const x0 = given ?? bellsSample(256, keyedNoise(1));
  const before = tf.memory().numTensors;
  const model = exactNetwork(scheduler);
  const result = diagnose({ scheduler, model, x0, noise: keyedNoise(2), ...changes });
  expect(tf.memory().numTensors).toBe(before);
  x0.dispose();
  return result;
}
const kinds = (scheduler: Scheduler, changes: Changes = {}) => found(scheduler, changes).faults.map(({ kind }) => kind);

describe("diagnose", () => {
  it.each(Object.keys(SOUND) as (keyof typeof SOUND)[])("finds nothing wrong with a sound model: %s", (name) => {
    const { faults, levels } = found(make(name));
    expect(faults).toEqual([]);
    // Two bells: the best denoiser is better than the best linear one, above all in the middle.
    expect(levels).toHaveLength(7);
    expect(levels.every(({ error, linearError }) => error < 1.15 * linearError)).toBe(true);
    expect(levels.some(({ error, linearError }) => error < 0.9 * linearError)).toBe(true);
  });

  it("finds data that are not scaled to [-1, 1], or are not numbers", () => {
    const scheduler = make("DDIM, v");
    const with_ = (change: (x: tf.Tensor2D) => tf.Tensor) => {
      const x0 = tf.tidy(() => change(bellsSample(64, keyedNoise(1))) as tf.Tensor2D);
      return found(scheduler, { x0 }).faults[0]!;
    };
    const asBytes = with_((x) => x.add(1).mul(127.5));
    expect(asBytes).toMatchObject({ kind: "data", remedy: "Scale them to [-1, 1]: x / 127.5 - 1." });
    expect(with_((x) => x.add(1.5).div(3).clipByValue(0, 1))).toMatchObject({
      kind: "data",
      remedy: "Scale them to [-1, 1]: 2 x - 1.",
    });
    expect(with_((x) => x.div(50))).toMatchObject({ kind: "data", remedy: expect.stringMatching(/deviation between/) });
    expect(with_((x) => x.mul(NaN)).evidence).toMatch(/not finite/);
  });

  it("finds a sigma_data that is not the data's", () => {
    expect(kinds(make("EDM", { sigma_data: 2 }))).toContain("data");
  });

  it("finds settings that let a well-trained network draw badly: range, and signal at the end", () => {
    const clipped = found(make("DDIM, v", { clip_sample: true, clip_sample_range: 0.3 })).faults[0]!;
    expect(clipped).toMatchObject({ kind: "settings", remedy: "Set clip_sample to false, or scale the data." });
    const short = found(make("DDIM, v", { num_train_timesteps: 100 })).faults[0]!;
    expect(short.kind).toBe("settings");
    expect(short.evidence).toMatch(/still holds 60 % of the signal/);
    expect(short.remedy).toMatch(/^Raise num_train_timesteps/);
  });

  it.each([
    ["DDIM, v", "DDIM, epsilon", "the noise (epsilon)"],
    ["DDIM, epsilon", "DDIM, v", "v = alpha noise - sigma x0"],
    ["flow matching", "flow matching", "the opposite velocity, x0 - noise"],
  ] as const)("finds that a network for %s gives another target, of %s: %s", (name, other, words) => {
    const trained = exactNetwork(make(other));
    const model: Network<tf.Tensor2D> = name === other ? (x, t) => tf.tidy(() => trained(x, t).neg()) : trained;
    const { faults } = found(make(name), { model });
    expect(faults).toHaveLength(1);
    expect(faults[0]!.kind).toBe("target");
    expect(faults[0]!.evidence).toContain(`output is ${words}`);
  });

  it("finds a flow network that was trained to give the noise", () => {
    const scheduler = make("flow matching");
    const asNoise = (level: TrainingLevel) => ({ ...level, target: { ofX0: 0, ofNoise: 1 } });
    const { faults } = found(scheduler, { model: exactNetwork(scheduler, undefined, asNoise) });
    expect(faults.map(({ kind }) => kind)).toEqual(["target"]);
    expect(faults[0]!.evidence).toContain("the noise (epsilon)");
  });

  it("finds a network that was trained on an unscaled input", () => {
    const scheduler = make("Euler");
    const unscaled = (level: TrainingLevel) => {
      const { ofX0, ofNoise } = level.input;
      return { ...level, input: { ofX0: 1, ofNoise: ofNoise / ofX0 } };
    };
    const { faults } = found(scheduler, { model: exactNetwork(scheduler, undefined, unscaled) });
    expect(faults.map(({ kind }) => kind)).toEqual(["input"]);
    expect(faults[0]!.evidence).toContain("not scaled");
  });

  it("finds a network that is told another time than in training", () => {
    const scheduler = make("DDIM, v");
    const exact = exactNetwork(scheduler);
    // Trained with times from 0 to 1; it takes what it is told for such a time.
    const model: Network<tf.Tensor2D> = (x, told) =>
      exact(
        x,
        told.map((t) => Math.min(999, Math.max(0, Math.round(t * 1000)))),
      );
    const { faults } = found(scheduler, { model });
    expect(faults.map(({ kind }) => kind)).toEqual(["time"]);
    expect(faults[0]!.evidence).toContain("divided by the number of timesteps");
  });

  it("finds a network that has learned nothing, and one that gives no numbers", () => {
    const scheduler = make("DDIM, v");
    expect(kinds(scheduler, { model: (x) => x.mul(0) })).toEqual(["untrained"]);
    expect(kinds(scheduler, { model: (x) => x.mul(NaN) })).toEqual(["network"]);
  });

  it("finds an average that still holds the first weights", () => {
    const scheduler = make("DDIM, v");
    const exact = exactNetwork(scheduler);
    expect(kinds(scheduler, { averaged: exact })).toEqual([]);
    const averaged: Network<tf.Tensor2D> = (x, t) => tf.tidy(() => exact(x, t).mul(0.5));
    expect(kinds(scheduler, { averaged })).toEqual(["average"]);
  });

  it("finds that a drawing has too few steps", () => {
    // Euler's method from sigma 80 in three steps, evenly spaced in timesteps.
    const { faults } = found(make("DDIM, epsilon", { timestep_spacing: "leading" }), { steps: 1 });
    expect(faults.map(({ kind }) => kind)).toEqual(["steps"]);
  });

  it("finds that a drawing is wrong though single steps are right", () => {
    const scheduler = make("DDIM, v", { timestep_spacing: "trailing" });
    const exact = exactNetwork(scheduler);
    // The network fails between the levels that are looked at, at timesteps near 50 and 200.
    const model: Network<tf.Tensor2D> = (x, told) =>
      tf.tidy(() => (told[0]! > 70 && told[0]! < 180 ? exact(x, told).add<tf.Tensor2D>(3) : exact(x, told)));
    const { faults } = found(scheduler, { model });
    expect(faults.map(({ kind }) => kind)).toEqual(["network"]);
    expect(faults[0]!.evidence).toMatch(/more steps do not help/);
  });

  it("refuses a single sample", () => {
    const scheduler = make("DDIM, v");
    const x0 = bellsSample(1, keyedNoise(1));
    expect(() => diagnose({ scheduler, model: exactNetwork(scheduler), x0, noise: keyedNoise(2) })).toThrow(
      "1 samples",
    );
    x0.dispose();
  });
});
