import type { Plan, PlanRequest, Scheduler } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "../options/errors.js";

/** Whether a sampler reads the variance of its steps from the second half of the network's channels. */
export function takesVariance({ config }: Scheduler): boolean {
  return /^learned/.test(String(config.variance_type));
}

/**
 * {@link planSteps} for drawing: also refuses a scheduler that cannot start from noise.
 *
 * @param predictsVariance whether the network also predicts variances
 * @param option what `steps` was given as, if it is a number
 */
export function planDrawing(
  scheduler: Scheduler,
  steps: PlanRequest,
  { predictsVariance = false, option }: { predictsVariance?: boolean; option?: string } = {},
): Plan {
  const { _class_name, variance_type } = scheduler.config;
  const reason =
    takesVariance(scheduler) && !predictsVariance
      ? `with variance_type ${String(variance_type)} needs a network that predicts it`
      : scheduler.traits?.notFromNoise;
  if (reason)
    throw new PipelineOptionError(
      `scheduler: ${_class_name} ${reason}; give another scheduler, such as DDIMScheduler.`,
    );
  return planSteps(scheduler, steps, option);
}

/**
 * The sampler's plan.
 *
 * @param option the name of the option that gave `steps`, if it is a number
 * @throws PipelineOptionError for steps that the sampler cannot make
 */
export function planSteps(scheduler: Scheduler, steps: PlanRequest, option = "numInferenceSteps"): Plan {
  try {
    return scheduler.plan(steps);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const [name, value] = typeof steps === "number" ? [option, steps] : Object.entries(steps)[0]!;
    const what = error.message.replace(/^plan(\(.*?\))?: /, "");
    throw new PipelineOptionError(`${name}: ${String(value)}; ${what}`, { cause: error });
  }
}
