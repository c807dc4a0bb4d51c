import {
  DEFAULT_TRAITS,
  type Scheduler,
  schedulerClasses,
  schedulerFromConfig,
  schedulerNames,
  type SchedulerTraits,
} from "@tfjs-diffusion/schedulers";
import { planRequest, type StepOptions, writtenSteps } from "./steps.js";
import { UsageError } from "./usage-error.js";

/** DDIMScheduler is called ddim, EulerDiscreteScheduler euler-discrete. */
function shortName(className: string): string {
  const words = className.replace(/Scheduler$/, "").replace(/([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3-$2$4");
  return words.toLowerCase();
}

const traitsOf = (className: string): SchedulerTraits => schedulerClasses[className]!.traits ?? DEFAULT_TRAITS;

/** The library's message without the name of the function, and with samplers named as on the command line. */
function inCommandWords(message: string): string {
  const words = message.replace(/^plan(\(.*?\))?: /, "");
  return words.replace(/\b\w+Scheduler\b/g, (name) => (Object.hasOwn(schedulerClasses, name) ? shortName(name) : name));
}

/** Whether a method draws from noise with networks such as Stable Diffusion, distilled ones among them. */
function drawsHere({ network, notFromNoise }: SchedulerTraits): boolean {
  return (network === "timestep" || network === "distilled") && notFromNoise === undefined;
}

/** Every such method, by its short name. */
export const SAMPLER_CLASSES: ReadonlyMap<string, string> = new Map(
  schedulerNames
    .filter((className) => drawsHere(traitsOf(className)))
    .map((className) => [shortName(className), className]),
);

/**
 * The names of those that can take the first step of the models that come with this repository: from a noise level of
 * 20,000 (their cosine schedule's last) to one of about 10.
 */
export const SAMPLERS: readonly string[] = [...SAMPLER_CLASSES]
  .filter(([, className]) => traitsOf(className).divergesFromPureNoise !== true)
  .map(([name]) => name);

/**
 * The sampler of that name, on the noise schedule and the prediction type of the model's own; undefined: the model's
 * own.
 *
 * @throws UsageError if it cannot work with that schedule, or not in these steps
 */
export function samplerNamed(name: string | undefined, own: Scheduler, steps: StepOptions): Scheduler {
  try {
    const _class_name = name === undefined ? undefined : SAMPLER_CLASSES.get(name);
    const sampler = name === undefined ? own : schedulerFromConfig({ ...own.config, _class_name });
    sampler.plan(planRequest(steps));
    return sampler;
  } catch (error) {
    const asked = name === undefined ? "" : `--sampler ${name} with `;
    const reason = inCommandWords((error as Error).message);
    throw new UsageError(`${asked}${writtenSteps(steps)} does not work with this model: ${reason}`, { cause: error });
  }
}
