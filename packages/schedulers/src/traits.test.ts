import { describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerClasses, schedulerFromConfig, schedulerNames } from "./from-config.js";
import { keyedNoise } from "./noise/keyed-noise.js";
import type { NoiseSource } from "./noise/noise.js";
import { makePlan } from "./plan.js";
import type { Scheduler } from "./scheduler.js";
import { DEFAULT_TRAITS } from "./traits.js";

const planOf = (scheduler: Scheduler) => scheduler.plan(8, { jump_length: 2 });

/** How often the steps of a plan draw noise. */
function countDraws(scheduler: Scheduler): number {
  let draws = 0;
  const noise = keyedNoise(0);
  const counted: NoiseSource = { ...noise, normal: (shape) => (draws++, noise.normal(shape)) };
  tf.tidy(() => {
    const plan = planOf(scheduler);
    const picture = tf.ones([1, 2]);
    let state = plan.start(tf.ones([1, 2]));
    for (const i of plan.timesteps.keys())
      state = plan.step(state, tf.ones([1, 2]), i, counted, { original_image: picture, mask: picture });
  });
  return draws;
}

describe("The traits of a method", () => {
  const variants = [
    ...schedulerNames.map((_class_name) => ({ _class_name })),
    { _class_name: "DPMSolverMultistepScheduler", algorithm_type: "sde-dpmsolver++" },
    { _class_name: "DPMSolverSinglestepScheduler", algorithm_type: "sde-dpmsolver++" },
    { _class_name: "EDMDPMSolverMultistepScheduler", algorithm_type: "sde-dpmsolver++" },
    { _class_name: "FlowMatchEulerDiscreteScheduler", stochastic_sampling: true },
  ];

  it.each(variants)("say correctly whether its steps draw noise: %j", (config) => {
    const scheduler = schedulerFromConfig(config);
    expect(countDraws(scheduler) > 0).toBe(scheduler.traits!.stochastic);
  });

  it.each(schedulerNames)("are the same for the class %s and its scheduler with the default config", (name) => {
    expect(schedulerFromConfig({ _class_name: name }).traits).toEqual(schedulerClasses[name]!.traits);
  });

  it("are, by default, those of a deterministic method for networks with trained timesteps", () => {
    expect(schedulerFromConfig({ _class_name: "DDIMScheduler" }).traits).toEqual(DEFAULT_TRAITS);
    expect(schedulerClasses["DDIMInverseScheduler"]!.traits!.notFromNoise).toBe("goes from pictures to noise");
  });
});

describe("The calls of a plan that begin a step", () => {
  const startsOf = (config: { _class_name: string; skip_prk_steps?: boolean; correct_steps?: number }) =>
    schedulerFromConfig(config).plan(6).stepStarts;

  it("are all calls of a method with one call a step", () => {
    expect(startsOf({ _class_name: "EulerDiscreteScheduler" })).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it.each([
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "DPMSolverSDEScheduler",
    "FlowMatchHeunDiscreteScheduler",
  ])("are every second call of %s", (_class_name) => {
    expect(startsOf({ _class_name })).toEqual([0, 2, 4, 6, 8, 10]);
  });

  it("are every fourth call in PNDM's Runge-Kutta start, and all calls without it", () => {
    expect(startsOf({ _class_name: "PNDMScheduler" })).toEqual([0, 4, 8, 12, 13, 14]);
    expect(startsOf({ _class_name: "PNDMScheduler", skip_prk_steps: true })).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it("are those before the corrections of each level in the score SDE", () => {
    expect(startsOf({ _class_name: "ScoreSdeVeScheduler", correct_steps: 2 })).toEqual([0, 3, 6, 9, 12, 15]);
  });

  it.each(schedulerNames)("can each be the first call of %s", (name) => {
    const plan = planOf(schedulerFromConfig({ _class_name: name }));
    expect(plan.stepStarts[0]).toBe(0);
    tf.tidy(() => {
      const x = tf.ones([1, 2]);
      const options = { original_image: x, mask: x };
      for (const i of plan.stepStarts) plan.step(plan.resume(x, i), x, i, keyedNoise(0), options);
    });
  });

  it.each([[[]], [[1, 2]], [[0, 2, 2]], [[0, 4]], [[0, 1.5]]])(
    "must ascend from 0 within the calls: not %j",
    (starts) => {
      const parts = { timesteps: [3, 2, 1, 0], sigmas: [3, 2, 1, 0.5, 0], level: () => ({ alpha: 1, sigma: 1 }) };
      const make = (stepStarts: number[]) => makePlan({ ...parts, stepStarts, update: ({ x }) => ({ x }) });
      expect(() => make(starts)).toThrow(/stepStarts .* start with 0 and stay below 4/);
    },
  );
});
