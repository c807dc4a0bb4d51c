import type { PlanRequest } from "@tfjs-diffusion/schedulers";
import type { TableValues } from "./table-options.js";
import { UsageError } from "./usage-error.js";

/** Which steps to draw; at most one of them is given. */
export type StepOptions = Pick<TableValues, "numInferenceSteps" | "timesteps" | "sigmas">;

/**
 * The same with a number of steps where nothing was given.
 *
 * @throws UsageError if more than one is given
 */
export function withSteps<T extends StepOptions>(options: T, defaultSteps: number): T {
  const { numInferenceSteps, timesteps, sigmas } = options;
  const given = Object.entries({ steps: numInferenceSteps, timesteps, sigmas }).filter(([, value]) => value);
  if (given.length > 1) {
    const names = given.map(([name]) => `--${name}`).join(", ");
    throw new UsageError(`${names}: ${given.length} of them were given; give only one.`);
  }
  return given.length === 0 ? { ...options, numInferenceSteps: defaultSteps } : options;
}

/** How many steps these are; for samplers that call the network more than once a step the pipeline counts more. */
export function stepCount({ numInferenceSteps, timesteps, sigmas }: StepOptions): number {
  return numInferenceSteps ?? timesteps?.length ?? (sigmas?.length ?? 2) - 1;
}

/** The argument of `scheduler.plan`. */
export function planRequest({ numInferenceSteps = 1, timesteps, sigmas }: StepOptions): PlanRequest {
  if (timesteps) return { timesteps };
  return sigmas ? { sigmas } : numInferenceSteps;
}

/** As they are written on a command line. */
export function writtenSteps({ numInferenceSteps, timesteps, sigmas }: StepOptions): string {
  if (timesteps) return `--timesteps ${Array.from(timesteps).join()}`;
  return sigmas ? `--sigmas ${Array.from(sigmas).join()}` : `--steps ${numInferenceSteps}`;
}
