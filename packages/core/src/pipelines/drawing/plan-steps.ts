import type { Plan, Scheduler } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "../options/errors.js";

/** {@link planSteps} of a method that leads from noise to pictures, by a network that predicts no variance. */
export function planDrawing(scheduler: Scheduler, steps: number): Plan {
  const { _class_name, variance_type } = scheduler.config;
  const reason = /^learned/.test(String(variance_type))
    ? `with variance_type ${String(variance_type)} needs a network that predicts it`
    : scheduler.traits?.notFromNoise;
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
