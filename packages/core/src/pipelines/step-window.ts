import type { Plan, Scheduler } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "./errors.js";
import type { CheckedOptions } from "./stable-diffusion-options.js";

/** The calls of a plan that are made: from `first` to before `end`. */
export interface StepWindow {
  first: number;
  end: number;
}

/** What the window depends on; with an `image` on `strength`. */
type StepWish = Pick<CheckedOptions, "steps" | "strength" | "image"> &
  Partial<Pick<CheckedOptions, "denoisingStart" | "denoisingEnd">>;

/** These call the network twice a step. */
const SECOND_ORDER = /Heun|KDPM2|DPMSolverSDE/;

/**
 * Which part of a plan is walked: with a picture the last `strength` of the steps, rounded down (Meng et al. 2022); with `denoisingStart` and
 * `denoisingEnd` the calls at timesteps below and from these shares of the way on, so that two pipelines share one plan without a gap
 * (Podell et al. 2024, section 2.5).
 *
 * @throws PipelineOptionError if nothing is left to do
 */
export function stepWindow(
  scheduler: Scheduler,
  { timesteps }: Plan,
  { steps, strength, image, denoisingStart, denoisingEnd }: StepWish,
): StepWindow {
  const { _class_name, num_train_timesteps: trained = 1000 } = scheduler.config;
  const calls = SECOND_ORDER.test(_class_name) ? 2 : 1;
  const cutoff = (share: number) => Math.round((trained as number) * (1 - share));
  let first = 0;
  if (denoisingStart !== undefined) {
    const left = timesteps.filter((t) => t < cutoff(denoisingStart)).length;
    // A step of two calls is not begun with its second.
    first = timesteps.length - left - (calls === 2 && left % 2 === 0 ? 1 : 0);
  } else if (image) {
    const skipped = Math.max(steps - Math.trunc(steps * strength), 0);
    if (skipped === steps) {
      throw new PipelineOptionError(
        `strength: ${strength} of ${steps} steps is less than one; give at least ${(1 / steps).toFixed(3)}, or more numInferenceSteps.`,
      );
    }
    first = skipped * calls;
  }
  const after = timesteps.slice(first);
  const end = first + (denoisingEnd === undefined ? after : after.filter((t) => t >= cutoff(denoisingEnd))).length;
  if (first < end) return { first, end };
  throw new PipelineOptionError(
    `denoisingStart, denoisingEnd: ${denoisingStart ?? 0} to ${denoisingEnd ?? 1} holds none of the ${steps} steps; give more numInferenceSteps.`,
  );
}
