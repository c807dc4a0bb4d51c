import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { planOf, type Trajectory, trajectoryErrors } from "./testing/trajectories.js";

beforeAll(() => tf.setBackend("cpu"));

interface UnusualConfigs {
  shape: number[];
  cases: (Trajectory & { scheduler: string })[];
}

/** Found by comparing 1,500 random configs with diffusers; the head of the file says how. */
const { shape, cases } = JSON.parse(
  readFileSync(new URL("../fixtures/unusual-configs.json", import.meta.url), "utf8"),
) as UnusualConfigs;

describe("An unusual config is read as diffusers reads it", () => {
  it.each(
    cases.map(
      (run) => [run.scheduler, JSON.stringify({ steps: run.num_inference_steps, ...run.config }), run] as const,
    ),
  )("%s %s", (name, _, run) => {
    const plan = planOf(name, run);
    expect(plan.timesteps).toHaveLength(run.timesteps.length);
    plan.timesteps.forEach((t, i) => expect(t).toBeCloseTo(run.timesteps[i]!, 3));
    run.sigmas?.forEach((sigma, i) =>
      expect(Math.abs(plan.sigmas[i]! - sigma)).toBeLessThanOrEqual(1e-6 * Math.abs(sigma)),
    );
    expect(Math.max(...trajectoryErrors(plan, run, shape))).toBeLessThan(Math.max(1e-5, 10 * run.noise_floor_relrms));
  });
});
