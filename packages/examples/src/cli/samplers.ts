import { type Scheduler, schedulerFromConfig } from "@tfjs-diffusion/schedulers";

const CLASSES: Record<string, string> = {
  ddim: "DDIMScheduler",
  ddpm: "DDPMScheduler",
};

/** The names that `--sampler` takes. */
export const SAMPLERS = Object.keys(CLASSES);

/** The sampler of that name, on the noise schedule and the prediction type of the model's own. */
export function samplerNamed(name: string | undefined, own: Scheduler): Scheduler {
  return name === undefined ? own : schedulerFromConfig({ ...own.config, _class_name: CLASSES[name] });
}
