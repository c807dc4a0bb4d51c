import type { Plan, PlanRequest, Scheduler } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "../options/errors.js";

/** The calls of a plan that are made: from `first` up to, but not including, `end`. */
export interface StepWindow {
  first: number;
  end: number;
}

/** The options that set the window; `strength` applies only with an `image`. */
interface WindowRequest {
  steps: PlanRequest;
  strength: number;
  image?: object;
  denoisingStart?: number;
  denoisingEnd?: number;
}

/**
 * The part of a plan that is run. With a picture, it is the last `strength` of the steps, rounded down (Meng et al.
 * 2022). With `denoisingStart` and `denoisingEnd`, these shares of the way from noise to picture become timesteps. The
 * window then holds the calls whose timestep is below the first and not below the second. Two pipelines can so share
 * one plan without a gap (Podell et al. 2024, section 2.5). With a sampler of several calls a step, such as Heun, the
 * end may fall inside a step: as in diffusers, the first pipeline then makes part of this step, and the second makes
 * the whole step.
 *
 * @throws PipelineOptionError if nothing is left to do
 */
export function stepWindow(
  scheduler: Scheduler,
  { timesteps, stepStarts }: Plan,
  { steps: request, strength, image, denoisingStart, denoisingEnd }: WindowRequest,
): StepWindow {
  const steps = typeof request === "number" ? request : stepStarts.length;
  const trained = scheduler.alphaBar.length;
  const cutoff = (share: number) => Math.round(trained - share * trained);
  const starts = [...stepStarts, timesteps.length]; // The steps' first calls, and the end of the plan.
  let first = 0;
  if (denoisingStart !== undefined) {
    const above = timesteps.filter((t) => t >= cutoff(denoisingStart)).length;
    first = starts.filter((i) => i <= above).at(-1)!;
  } else if (image) {
    const skipped = Math.max(steps - Math.trunc(steps * strength), 0);
    if (skipped === steps) {
      throw new PipelineOptionError(
        `strength: ${strength} of ${steps} steps is less than one; give at least ${(1 / steps).toFixed(3)}, or more numInferenceSteps.`,
      );
    }
    first = starts[skipped]!;
  }
  const after = timesteps.slice(first);
  const end = first + (denoisingEnd === undefined ? after : after.filter((t) => t >= cutoff(denoisingEnd))).length;
  if (first < end) return { first, end };
  throw new PipelineOptionError(
    `denoisingStart, denoisingEnd: ${denoisingStart ?? 0} to ${denoisingEnd ?? 1} holds none of the ${steps} steps; give more numInferenceSteps.`,
  );
}
