import type { Scheduler } from "@tfjs-diffusion/schedulers";

/** Whether a value is a scheduler, as far as its properties tell. */
export function isScheduler(value: unknown): value is Scheduler {
  if (typeof value !== "object" || value === null) return false;
  const { plan, config } = value as Partial<Scheduler>;
  return typeof plan === "function" && typeof config === "object" && config !== null;
}

/** Whether a sampler reads variances, which the network predicts in a second half of its channels. */
export function readsVariance({ traits }: Scheduler): boolean {
  return traits?.readsVariance === true;
}

/**
 * Why a sampler cannot draw with a network, as a clause that follows its name; undefined if it can. A network that
 * predicts variances goes with every sampler: one that does not read them is given the prediction alone.
 *
 * @param predictsVariance whether the network also predicts variances
 */
export function whyNotToDraw(scheduler: Scheduler, predictsVariance = false): string | undefined {
  return readsVariance(scheduler) && !predictsVariance
    ? `with variance_type ${String(scheduler.config.variance_type)} needs a network that predicts it`
    : scheduler.traits?.notFromNoise;
}
