import { describe, expect, it, jest } from "@jest/globals";
import type { CheckpointFamily } from "../models/published-configs.js";
import { FAMILIES } from "./families.js";
import { requireSchedulerKept } from "./lost-scheduler.js";
import { marksOf } from "./scheduler-marks.js";

const warn = jest.spyOn(console, "warn").mockImplementation(() => {});

/** What is said of a scheduler that is left out of a single file: the refusal, the warning, or nothing. */
async function said(family: CheckpointFamily, changes: object, without = false): Promise<string> {
  const scheduler: Record<string, unknown> = { ...FAMILIES[family].scheduler, ...changes };
  const marks = marksOf("folder", family, scheduler, {});
  const metadata = { "modelspec.predict_key": scheduler.prediction_type === "v_prediction" ? "v" : "epsilon" };
  warn.mockClear();
  try {
    await requireSchedulerKept("folder", family, scheduler, { marks, metadata }, without);
    return warn.mock.calls.flat().join();
  } catch (error) {
    return `refused: ${(error as Error).message}`;
  }
}

const ZERO_SNR = { prediction_type: "v_prediction", rescale_betas_zero_snr: true, timestep_spacing: "trailing" };

describe("A scheduler that is left out of a single file", () => {
  it.each<[CheckpointFamily, string, object]>([
    ["sd1", "as published", {}],
    ["sd2", "as published", {}],
    ["sd2", "of the base, which predicts noise", { prediction_type: "epsilon" }],
    ["sdxl", "as published", {}],
    ["sdxl", "with the marks of zero SNR", ZERO_SNR],
    ["sd1", "with settings that the pipeline makes", { steps_offset: 0, clip_sample: true }],
    ["sd1", "with settings that act only together with another", { sample_max_value: 2 }],
    ["sd1", "with settings of other classes", { use_karras_sigmas: true, solver_order: 3 }],
  ])("of %s is not missed: %s", async (family, _, changes) => {
    expect(await said(family, changes)).toBe("");
  });

  it.each<[CheckpointFamily, object, string]>([
    ["sd1", { beta_start: 0.001, beta_end: 0.02 }, "beta_start 0.001, beta_end 0.02"],
    ["sd1", { beta_schedule: "linear" }, 'beta_schedule "linear"'],
    ["sd1", { trained_betas: [0.1, 0.2] }, "trained_betas [0.1,0.2]"],
    ["sd2", { num_train_timesteps: 500 }, "num_train_timesteps 500"],
    ["sd1", { timestep_spacing: "trailing" }, 'timestep_spacing "trailing"'],
    ["sdxl", { _class_name: "EulerAncestralDiscreteScheduler", timestep_spacing: "trailing" }, "trailing"],
    ["sdxl", { ...ZERO_SNR, timestep_spacing: "leading" }, 'timestep_spacing "leading"'],
    ["sdxl", { steps_offset: 0 }, "steps_offset 0"],
    ["sdxl", { use_karras_sigmas: true }, "use_karras_sigmas true"],
    ["sd1", { _class_name: "DPMSolverMultistepScheduler", use_karras_sigmas: true }, "use_karras_sigmas true"],
    ["sd1", { _class_name: "DDIMScheduler", thresholding: true, sample_max_value: 2 }, "thresholding true"],
    ["sd1", { _class_name: "LCMScheduler" }, "the sampler that it was distilled for (LCMScheduler)"],
    ["sdxl", { _class_name: "TCDScheduler" }, "the sampler that it was distilled for (TCDScheduler)"],
    [
      "sdxl",
      { _class_name: "EDMEulerScheduler", sigma_data: 1, sigma_schedule: "karras", prediction_type: "v_prediction" },
      'sigma_schedule "karras"',
    ],
  ])("of %s with %j is refused by name, or given up with a warning", async (family, changes, named) => {
    const message = await said(family, changes);
    expect(message).toMatch(/^refused: folder: a single file cannot say .* would draw otherwise.*withoutScheduler/);
    expect(message).toContain(named);
    expect(await said(family, changes, true)).toContain(named);
  });

  it("of another class on the same noise levels is only warned of", async () => {
    const message = await said("sd1", { _class_name: "DPMSolverMultistepScheduler" });
    expect(message).toBe(
      "folder: a single file cannot say the class of its scheduler, DPMSolverMultistepScheduler; it opens with a " +
        "PNDMScheduler. Choose the scheduler where you draw with it.",
    );
  });
});
