import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig } from "./from-config.js";
import { formula, formulaWithVariance, fromTorch, readTrajectories, relativeRms, trajectoryErrors } from "./testing/trajectories.js";

beforeAll(() => tf.setBackend("cpu"));

describe.each(["DDPMScheduler", "DDIMScheduler"])("%s against diffusers 0.42.1", (name) => {
  const { cases, shape } = readTrajectories(name);
  it.each(cases.map((run, i) => [i, JSON.stringify({ ...run.config, ...run.step_kwargs, ...run.set_timesteps_kwargs }), run] as const))(
    "case %i: %s",
    (_, __, run) => {
      const scheduler = schedulerFromConfig({ ...run.config, _class_name: name });
      const custom = run.set_timesteps_kwargs.timesteps as number[] | undefined;
      const plan = scheduler.plan(custom ? { timesteps: custom } : run.num_inference_steps);
      expect(plan.timesteps).toEqual(run.timesteps);

      // The fixtures' own rule: 1e-5, or ten times PyTorch's distance from float64 where that is larger.
      const tolerance = Math.max(1e-5, 10 * run.noise_floor_relrms);
      const learned = run.config.variance_type === "learned_range";
      const network = learned ? formulaWithVariance : formula;
      expect(Math.max(...trajectoryErrors(plan, run, shape, network))).toBeLessThan(tolerance);

      if (run.add_noise) {
        const { x0, noise, timesteps, out } = run.add_noise;
        const batched = [timesteps.length, ...shape.slice(1)];
        const inputs = [fromTorch(x0, batched), fromTorch(noise, batched)] as const;
        expect(relativeRms(scheduler.addNoise(...inputs, timesteps), fromTorch(out, batched))).toBeLessThan(1e-6);
        const v = scheduler.velocity(...inputs, run.get_velocity!.timesteps);
        expect(relativeRms(v, fromTorch(run.get_velocity!.out, batched))).toBeLessThan(1e-6);
      }
    },
  );
});
