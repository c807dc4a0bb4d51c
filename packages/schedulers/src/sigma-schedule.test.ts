import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { betaQuantile } from "./numerics/beta-distribution.js";
import { schedulerFromConfig } from "./from-config.js";
import { alignYourSteps, betaSigmas, exponentialSigmas, karrasSigmas } from "./sigma-schedule.js";

describe("karrasSigmas", () => {
  it("has evenly spaced rho-th roots, from max to min", () => {
    const roots = karrasSigmas(5, 80, 0.002, 7).map((sigma) => sigma ** (1 / 7));
    roots.slice(1).forEach((root, i) => expect(roots[i]! - root).toBeCloseTo((roots[0]! - roots[4]!) / 4, 12));
    expect(roots[0]! ** 7).toBeCloseTo(80, 10);
    expect(roots[4]! ** 7).toBeCloseTo(0.002, 12);
  });
});

describe("exponentialSigmas", () => {
  it("falls by a constant factor, from max to min", () => {
    expect(exponentialSigmas(4, 8, 0.001)).toEqual([
      expect.closeTo(8, 12),
      expect.closeTo(0.4, 12),
      expect.closeTo(0.02, 12),
      expect.closeTo(0.001, 12),
    ]);
  });
});

describe("betaQuantile", () => {
  // Distributions with closed-form quantiles.
  it.each([0.001, 0.1, 0.3, 0.5, 0.77, 0.999])("at %f: arcsine, powers and a parabola", (q) => {
    expect(betaQuantile(q, 0.5, 0.5)).toBeCloseTo(Math.sin((Math.PI * q) / 2) ** 2, 12);
    expect(betaQuantile(q, 1, 3)).toBeCloseTo(1 - (1 - q) ** (1 / 3), 12);
    expect(betaQuantile(q, 4, 1)).toBeCloseTo(q ** (1 / 4), 12);
    const x = betaQuantile(q, 2, 2);
    expect(3 * x ** 2 - 2 * x ** 3).toBeCloseTo(q, 12);
  });

  it("is symmetric for equal parameters, and spans 0 to 1", () => {
    for (const q of [0.02, 0.2, 0.4])
      expect(betaQuantile(q, 0.6, 0.6) + betaQuantile(1 - q, 0.6, 0.6)).toBeCloseTo(1, 12);
    expect([betaQuantile(0, 0.6, 0.6), betaQuantile(1, 0.6, 0.6)]).toEqual([0, 1]);
  });
});

describe("betaSigmas", () => {
  it("is dense at both ends: steps there are smaller than in the middle", () => {
    const sigmas = betaSigmas(11, 10, 0.1);
    const steps = sigmas.slice(1).map((sigma, i) => sigmas[i]! - sigma);
    expect([sigmas[0], sigmas[10]]).toEqual([10, 0.1]);
    expect(Math.max(steps[0]!, steps[9]!)).toBeLessThan(Math.min(...steps.slice(1, 9)));
  });
});

describe("every sigma schedule", () => {
  it("falls strictly from max to min for any range, and is only max for one step", () => {
    const range = fc.tuple(
      fc.double({ min: 1, max: 1000, noNaN: true }),
      fc.double({ min: 1e-3, max: 0.9, noNaN: true }),
    );
    fc.assert(
      fc.property(range, fc.integer({ min: 2, max: 60 }), ([max, min], n) => {
        for (const spread of [karrasSigmas, exponentialSigmas, betaSigmas]) {
          const sigmas = spread(n, max, min);
          expect(sigmas.length).toBe(n);
          expect(Math.abs(sigmas[0]! / max - 1)).toBeLessThan(1e-12);
          expect(Math.abs(sigmas.at(-1)! / min - 1)).toBeLessThan(1e-12);
          expect(sigmas.every((sigma, i) => i === 0 || sigma < sigmas[i - 1]!)).toBe(true);
          expect(spread(1, max, min)).toEqual([expect.closeTo(max, 9)]);
        }
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  it("cannot be combined with another in one config", () => {
    const make = (config: object) => schedulerFromConfig({ _class_name: "EulerDiscreteScheduler", ...config });
    expect(() => make({ use_karras_sigmas: true, use_beta_sigmas: true }).plan(5)).toThrow(
      "use_karras_sigmas and use_beta_sigmas are both true; set at most one of them.",
    );
    expect(() => make({ use_karras_sigmas: true }).plan({ timesteps: [999, 500] })).toThrow(
      "this config computes its own noise levels; give a number of steps, or { sigmas }.",
    );
  });
});

// diffusers 0.42.1, scheduling_utils.py: AysSchedules.
describe("alignYourSteps", () => {
  it("has the ten timesteps of each model, which every method on trained timesteps plans unchanged", () => {
    expect(alignYourSteps["stable-diffusion-1"]).toEqual([999, 850, 736, 645, 545, 455, 343, 233, 124, 24]);
    expect(alignYourSteps["stable-diffusion-xl"]).toEqual([999, 845, 730, 587, 443, 310, 193, 116, 53, 13]);
    for (const timesteps of Object.values(alignYourSteps)) {
      for (const name of ["DDIM", "EulerDiscrete", "DPMSolverMultistep", "UniPCMultistep"]) {
        const plan = schedulerFromConfig({ _class_name: `${name}Scheduler` }).plan({ timesteps });
        expect(plan.timesteps).toEqual(timesteps);
      }
    }
  });
});
