import { type Scheduler, schedulerFromConfig, schedulerNames } from "@tfjs-diffusion/schedulers";
import { UsageError } from "./usage-error.js";

/** DDIMScheduler is called ddim, EulerDiscreteScheduler euler-discrete. */
function shortName(className: string): string {
  const words = className.replace(/Scheduler$/, "").replace(/([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3-$2$4");
  return words.toLowerCase();
}

/**
 * They cannot take the first step of the models that come with this repository, from a noise level of 20,000 (its
 * cosine schedule's last) to one of about 10.
 */
const DIVERGE_HERE = /Heun|KDPM2Ancestral/;

/** For networks that predict velocities along straight paths, or for other work than drawing from noise. */
const NOT_FOR_DRAWING = /FlowMatch|EDM|CMStochastic|IPNDM|ScoreSde|UnCLIP|RePaint|Inverse/;

/** Every method that draws with networks such as Stable Diffusion, LCM's among them, by its short name. */
export const SAMPLER_CLASSES: ReadonlyMap<string, string> = new Map(
  schedulerNames
    .filter((className) => !NOT_FOR_DRAWING.test(className))
    .map((className) => [shortName(className), className]),
);

/** The names that `--sampler` takes for them. */
export const SAMPLERS: readonly string[] = [...SAMPLER_CLASSES]
  .filter(([, className]) => !DIVERGE_HERE.test(className))
  .map(([name]) => name);

/**
 * The sampler of that name, on the noise schedule and the prediction type of the model's own; undefined: the model's
 * own.
 *
 * @throws UsageError if it cannot work with that schedule, or not in so many steps
 */
export function samplerNamed(name: string | undefined, own: Scheduler, steps: number): Scheduler {
  try {
    const _class_name = name === undefined ? undefined : SAMPLER_CLASSES.get(name);
    const sampler = name === undefined ? own : schedulerFromConfig({ ...own.config, _class_name });
    sampler.plan(steps);
    return sampler;
  } catch (error) {
    const asked = name === undefined ? "" : `--sampler ${name} with `;
    throw new UsageError(`${asked}--steps ${steps} does not work with this model: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
