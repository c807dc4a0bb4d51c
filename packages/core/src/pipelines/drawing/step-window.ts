import type { Plan, PlanRequest, Scheduler } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "../options/errors.js";

/** The calls of a plan that are made: from `first` to before `end`. */
export interface StepWindow {
  first: number;
  end: number;
}

/** What the window depends on; with an `image` on `strength`. */
interface WindowRequest {
  steps: PlanRequest;
  strength: number;
  image?: object;
  denoisingStart?: number;
  denoisingEnd?: number;
}

/**
 * Which part of a plan is walked: with a picture the last `strength` of the steps, rounded down (Meng et al. 2022);
 * with `denoisingStart` and `denoisingEnd` the calls at timesteps below and from these shares of the way on, so that
 * two pipelines share one plan without a gap (Podell et al. 2024, section 2.5).
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
  const starts = [...stepStarts, timesteps.length]; // The end, too: there nothing is left to do.
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
