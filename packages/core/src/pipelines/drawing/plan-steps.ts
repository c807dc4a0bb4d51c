import type { Plan, Scheduler } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "../options/errors.js";

/** Methods that no pipeline here draws with, and why. */
const NOT_FOR_DRAWING: Readonly<Record<string, string>> = {
  DDIMInverseScheduler: "goes from pictures to noise",
  DPMSolverMultistepInverseScheduler: "goes from pictures to noise",
  RePaintScheduler: "needs a picture and a mask in every step, which it is not given here: inpaint by image and mask",
};

/** {@link planSteps} of a method that leads from noise to pictures, by a network that predicts no variance. */
export function planDrawing(scheduler: Scheduler, steps: number): Plan {
  const { _class_name, variance_type } = scheduler.config;
  const reason = /^learned/.test(String(variance_type))
    ? `with variance_type ${String(variance_type)} needs a network that predicts it`
    : NOT_FOR_DRAWING[_class_name];
  if (reason)
    throw new PipelineOptionError(`scheduler: ${_class_name} ${reason}; give another, such as DDIMScheduler.`);
  return planSteps(scheduler, steps);
}

/**
 * The sampler's plan; @throws PipelineOptionError, in the option's name, for as many steps as the sampler cannot make
 */
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
