import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig, schedulerNames } from "./from-config.js";
import {
  callTimesteps,
  fromTorch,
  fixtureNames,
  planOf,
  readTrajectories,
  relativeRms,
  trajectoryErrors,
} from "./testing/trajectories.js";

beforeAll(() => tf.setBackend("cpu"));

describe.each(fixtureNames().filter((name) => schedulerNames.includes(name)))("%s against diffusers 0.42.1", (name) => {
  const { cases, shape, default_config } = readTrajectories(name);

  it("has its defaults", () => {
    // JSON has no infinity; null means the same here.
    const want = Object.entries(default_config).map(([key, value]) => [
      key,
      value === "-inf" || value === -Infinity ? null : value,
    ]);
    expect(schedulerFromConfig({ _class_name: name }).config).toEqual({
      _class_name: name,
      ...Object.fromEntries(want),
    });
  });

  it.each(
    cases.map(
      (run, i) => [i, JSON.stringify({ ...run.config, ...run.step_kwargs, ...run.set_timesteps_kwargs }), run] as const,
    ),
  )("case %i: %s", (_, __, run) => {
    const plan = planOf(name, run);
    const want = callTimesteps(run);
    expect(plan.timesteps.length).toBe(want.length);
    // Fractional timesteps come from float32 logarithms, which differ in the last place between libraries.
    plan.timesteps.forEach((t, i) =>
      expect(Math.abs(t - want[i]!)).toBeLessThanOrEqual(Number.isInteger(want[i]) ? 0 : 1e-4),
    );
    run.sigmas?.forEach((sigma, i) =>
      expect(Math.abs(plan.sigmas[i]! - sigma)).toBeLessThanOrEqual(1e-6 * Math.abs(sigma)),
    );
    if (run.sigmas) expect(plan.sigmas.length).toBe(run.sigmas.length);
    expect(Math.abs(plan.initNoiseSigma - run.init_noise_sigma)).toBeLessThanOrEqual(1e-6 * run.init_noise_sigma);

    // The tolerance of the fixtures: 1e-5, or ten times PyTorch's distance from float64 if that is larger.
    const tolerance = Math.max(1e-5, 10 * run.noise_floor_relrms);
    expect(Math.max(...trajectoryErrors(plan, run, shape))).toBeLessThan(tolerance);

    if (!run.add_noise) return;
    const { x0, noise, timesteps, out } = run.add_noise;
    const batched = [timesteps.length, ...shape.slice(1)];
    const inputs = [fromTorch(x0, batched), fromTorch(noise, batched)] as const;
    if (name === "SASolverScheduler") {
      // diffusers looks alphaBar up at the rounded timestep, not at the plan's level.
      const noised = schedulerFromConfig({ ...run.config, _class_name: name }).addNoise(...inputs, timesteps);
      expect(relativeRms(noised, fromTorch(out, batched))).toBeLessThan(1e-6);
      return;
    }
    const steps = timesteps.map((t) =>
      plan.timesteps.lastIndexOf(plan.timesteps.find((own) => Math.abs(own - t) < 1e-3)!),
    );
    const parts = steps.map((i, b) => {
      const [one, z] = inputs.map((tensor) => tensor.slice([b], [1])) as [tf.Tensor, tf.Tensor];
      return plan.addNoise(one, z, i);
    });
    // Between two levels diffusers' KDPM2 adds the noise of the next one; a plan adds that of the midpoint.
    if (name.startsWith("KDPM2") && steps.some((i) => i % 2 === 1)) return;
    expect(relativeRms(tf.concat(parts), fromTorch(out, batched))).toBeLessThan(1e-6);
    // EulerDiscreteScheduler.get_velocity of diffusers looks alphaBar up by the number of the step, not by the
    // timestep.
    if (!run.get_velocity || name === "EulerDiscreteScheduler") return;
    const v = schedulerFromConfig({ ...run.config, _class_name: name }).velocity(...inputs, run.get_velocity.timesteps);
    expect(relativeRms(v, fromTorch(run.get_velocity.out, batched))).toBeLessThan(1e-6);
  });
});
