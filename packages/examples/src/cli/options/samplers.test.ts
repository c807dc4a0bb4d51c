import { describe, expect, it } from "@jest/globals";
import { DDIMScheduler, schedulerNames } from "@tfjs-diffusion/schedulers";
import { SAMPLERS, samplerNamed } from "./samplers.js";
import { UsageError } from "./usage-error.js";

describe("Samplers on the command line", () => {
  const own = new DDIMScheduler({ beta_schedule: "squaredcos_cap_v2", prediction_type: "v_prediction" });

  it("are the library's methods by short names, without those made for other networks or other work", () => {
    expect(SAMPLERS.length).toBeLessThanOrEqual(schedulerNames.length);
    expect(SAMPLERS).toEqual(expect.arrayContaining(["ddim", "ddpm"]));
    expect(SAMPLERS).not.toContain("flow-match-euler-discrete");
  });

  it("keep the model's noise schedule and prediction type", () => {
    for (const name of ["ddim", "ddpm"]) {
      const sampler = samplerNamed(name, own, { numInferenceSteps: 20 });
      expect(sampler.config).toMatchObject({ beta_schedule: "squaredcos_cap_v2", prediction_type: "v_prediction" });
      expect(sampler.alphaBar).toEqual(own.alphaBar);
    }
    expect(samplerNamed("ddpm", own, { numInferenceSteps: 20 }).config._class_name).toBe("DDPMScheduler");
  });

  it("default to the model's own", () => {
    expect(samplerNamed(undefined, own, { numInferenceSteps: 20 })).toBe(own);
  });

  it("work with the model, or a UsageError says in the words of the command line why not", () => {
    for (const name of SAMPLERS) {
      try {
        expect(samplerNamed(name, own, { numInferenceSteps: 20 }).plan(20).timesteps.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }
    expect(() => samplerNamed("ddim", own, { numInferenceSteps: 1001 })).toThrow(UsageError);
    expect(() => samplerNamed(undefined, own, { numInferenceSteps: 1001 })).toThrow(/--steps 1001 does not work/);
    expect(() => samplerNamed(undefined, own, { timesteps: [1, 5] })).toThrow(
      "--timesteps 1,5 does not work with this model: entry 1 is 5; give whole numbers from 999 down to 0, " +
        "each smaller than the one before.",
    );
    expect(() => samplerNamed("ddim", own, { sigmas: [9, 1, 0] })).toThrow(
      "--sampler ddim with --sigmas 9,1,0 does not work with this model: this sampler does not take sigmas, only " +
        "steps or timesteps. Give one of them, or use another sampler, such as euler-discrete.",
    );
  });
});
