import { alignYourSteps, type PlanRequest } from "@tfjs-diffusion/schedulers";
import { tableValue } from "./table-options.js";
import { UsageError } from "./usage-error.js";

/** Which steps to draw; one of them is given. */
export interface StepArguments {
  steps?: number;
  timesteps?: readonly number[];
  sigmas?: readonly number[];
}

/** Lists of timesteps that have a name, by the networks that they were searched for (Sabour et al. 2024). */
const NAMED_TIMESTEPS: ReadonlyMap<string, readonly number[]> = new Map(Object.entries(alignYourSteps));

/** What `--help` says of it after the table. */
export const TIMESTEPS_HELP = `; or, of Align Your Steps, ${[...NAMED_TIMESTEPS.keys()].join(" or ")}`;

/**
 * Reads `--steps`, `--timesteps` and `--sigmas`.
 *
 * @throws UsageError if more than one is given, or a value is out of its range
 */
export function readSteps(values: { [Name in keyof StepArguments]?: string }, defaultSteps: number): StepArguments {
  const { steps, timesteps, sigmas } = values;
  const given = Object.entries({ steps, timesteps, sigmas }).filter(([, text]) => text !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => `--${name}`).join(", ");
    throw new UsageError(`${names}: ${given.length} are given; give one of them.`);
  }
  if (timesteps !== undefined)
    return { timesteps: NAMED_TIMESTEPS.get(timesteps) ?? tableValue("timesteps", timesteps) };
  if (sigmas !== undefined) return { sigmas: tableValue("sigmas", sigmas) };
  return { steps: steps === undefined ? defaultSteps : tableValue("steps", steps) };
}

/** How many steps they are about; the pipeline knows exactly. */
export function stepCount({ steps, timesteps, sigmas }: StepArguments): number {
  return steps ?? timesteps?.length ?? (sigmas?.length ?? 2) - 1;
}

/** As schedulers take them. */
export function planRequest({ steps = 1, timesteps, sigmas }: StepArguments): PlanRequest {
  if (timesteps) return { timesteps };
  return sigmas ? { sigmas } : steps;
}

/** As pipelines take them. */
export function stepOptions({ steps, timesteps, sigmas }: StepArguments) {
  return { numInferenceSteps: steps, timesteps, sigmas };
}

/** As they are written on a command line. */
export function writtenSteps({ steps, timesteps, sigmas }: StepArguments): string {
  if (timesteps) return `--timesteps ${timesteps.join()}`;
  return sigmas ? `--sigmas ${sigmas.join()}` : `--steps ${steps}`;
}
