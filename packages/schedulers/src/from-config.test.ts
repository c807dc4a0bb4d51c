import { describe, expect, it } from "@jest/globals";
import { schedulerFromConfig, schedulerNames } from "./from-config.js";

describe.each(schedulerNames)("%s", (name) => {
  const scheduler = schedulerFromConfig({ _class_name: name });

  it("is rebuilt from its config, which is JSON", () => {
    const read = JSON.parse(JSON.stringify(scheduler.config)) as typeof scheduler.config;
    expect(schedulerFromConfig(read).config).toEqual(scheduler.config);
  });

  it("keeps all its keys through a change to any other class and back", () => {
    const given = {
      num_train_timesteps: 300,
      beta_end: 0.012,
      sigma_min: 0.01,
      solver_order: 3,
      rho: 5,
      shift: 2,
      _class_name: name,
    };
    const first = schedulerFromConfig(given);
    for (const other of schedulerNames) {
      const changed = schedulerFromConfig({ ...first.config, _class_name: other });
      expect(changed.config).toMatchObject({ ...first.config, _class_name: other });
      const back = schedulerFromConfig({ ...changed.config, _class_name: name });
      expect(back.config).toMatchObject(first.config);
      // The change added keys of the other method, which have no effect here: the plans are the same.
      expect(back.plan(20).sigmas).toEqual(first.plan(20).sigmas);
      expect(back.plan(20).timesteps).toEqual(first.plan(20).timesteps);
    }
  });

  it("cannot be changed", () => {
    expect(Object.isFrozen(scheduler.config)).toBe(true);
  });
});

it("keys that no sampler uses, and keys that start with _, are left out", () => {
  const config = {
    _class_name: "DDIMScheduler",
    _diffusers_version: "0.21.4",
    skip_type: "uniform",
    predict_epsilon: true,
  };
  expect(schedulerFromConfig(config).config).toEqual(schedulerFromConfig({ _class_name: "DDIMScheduler" }).config);
});
