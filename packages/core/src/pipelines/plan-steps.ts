import type { Plan, Scheduler } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "./errors.js";

/** The sampler's plan; @throws PipelineOptionError, in the option's name, for as many steps as the sampler cannot make */
export function planSteps(scheduler: Scheduler, steps: number, option = "numInferenceSteps"): Plan {
  try {
    return scheduler.plan(steps);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PipelineOptionError(`${option}: ${steps}; ${error.message.replace(/^plan\(\d+\): /, "")}`, {
      cause: error,
    });
  }
}
