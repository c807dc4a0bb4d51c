import { alignYourSteps, type PlanRequest } from "@tfjs-diffusion/schedulers";
import { whole, wrong } from "./option-values.js";
import { UsageError } from "./usage-error.js";

/** Which steps to draw; one of them is given. */
export interface StepArguments {
  steps?: number;
  timesteps?: readonly number[];
  sigmas?: readonly number[];
}

/** The most steps that the noise schedule has. */
const MOST_STEPS = 1000;

/** Lists of timesteps that have a name, by the networks that they were searched for (Sabour et al. 2024). */
const NAMED_TIMESTEPS: Readonly<Record<string, readonly number[]>> = alignYourSteps;

export const TIMESTEPS_HELP =
  `in place of --steps: the timesteps to visit, falling; or, of Align Your Steps, ` +
  Object.keys(NAMED_TIMESTEPS).join(" or ");

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
  if (timesteps !== undefined) return { timesteps: NAMED_TIMESTEPS[timesteps] ?? numbers("timesteps", timesteps) };
  if (sigmas !== undefined) return { sigmas: numbers("sigmas", sigmas) };
  return { steps: steps === undefined ? defaultSteps : whole("steps", steps, 1, MOST_STEPS) };
}

function numbers(option: string, text: string): number[] {
  const values = text.split(",").map((one) => (one.trim() === "" ? NaN : Number(one)));
  if (!values.every(Number.isFinite)) throw wrong(option, text, "numbers with commas between them");
  return values;
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
