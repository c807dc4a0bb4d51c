import { describe, expect, it } from "@jest/globals";
import { DDIMScheduler, schedulerNames } from "@tfjs-diffusion/schedulers";
import { SAMPLERS, samplerNamed } from "./samplers.js";

describe("Samplers on the command line", () => {
  const own = new DDIMScheduler({ beta_schedule: "squaredcos_cap_v2", prediction_type: "v_prediction" });

  it("are all that the library has, by short names", () => {
    expect(SAMPLERS).toHaveLength(schedulerNames.length);
    expect(SAMPLERS).toEqual(expect.arrayContaining(["ddim", "ddpm"]));
  });

  it("keep the model's noise schedule and prediction type", () => {
    for (const name of SAMPLERS) {
      const sampler = samplerNamed(name, own);
      expect(sampler.config).toMatchObject({ beta_schedule: "squaredcos_cap_v2", prediction_type: "v_prediction" });
      expect(sampler.alphaBar).toEqual(own.alphaBar);
    }
    expect(samplerNamed("ddpm", own).config._class_name).toBe("DDPMScheduler");
  });

  it("are the model's own where none is named", () => {
    expect(samplerNamed(undefined, own)).toBe(own);
  });
});
