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
      const sampler = samplerNamed(name, own, { steps: 20 });
      expect(sampler.config).toMatchObject({ beta_schedule: "squaredcos_cap_v2", prediction_type: "v_prediction" });
      expect(sampler.alphaBar).toEqual(own.alphaBar);
    }
    expect(samplerNamed("ddpm", own, { steps: 20 }).config._class_name).toBe("DDPMScheduler");
  });

  it("default to the model's own", () => {
    expect(samplerNamed(undefined, own, { steps: 20 })).toBe(own);
  });

  it("either work with the model or say why not, as a matter of usage", () => {
    for (const name of SAMPLERS) {
      try {
        expect(samplerNamed(name, own, { steps: 20 }).plan(20).timesteps.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }
    expect(() => samplerNamed("ddim", own, { steps: 1001 })).toThrow(UsageError);
    expect(() => samplerNamed(undefined, own, { steps: 1001 })).toThrow(/--steps 1001 does not work/);
    expect(() => samplerNamed(undefined, own, { timesteps: [1, 5] })).toThrow(/--timesteps 1,5 does not work/);
  });
});
