import { type Scheduler, schedulerFromConfig, schedulerNames } from "@tfjs-diffusion/schedulers";

/** DDIMScheduler is called ddim, EulerDiscreteScheduler euler-discrete. */
function shortName(className: string): string {
  const words = className.replace(/Scheduler$/, "").replace(/([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3-$2$4");
  return words.toLowerCase();
}

const CLASSES = new Map(schedulerNames.map((className) => [shortName(className), className]));

/** The names that `--sampler` takes. */
export const SAMPLERS: readonly string[] = [...CLASSES.keys()];

/** The sampler of that name, on the noise schedule and the prediction type of the model's own. */
export function samplerNamed(name: string | undefined, own: Scheduler): Scheduler {
  return name === undefined ? own : schedulerFromConfig({ ...own.config, _class_name: CLASSES.get(name) });
}
