import { DDIMScheduler } from "./ddim.js";
import { DDPMScheduler } from "./ddpm.js";
import { SchedulerConfigError } from "./errors.js";
import { EulerAncestralDiscreteScheduler } from "./euler-ancestral.js";
import { EulerDiscreteScheduler } from "./euler.js";
import { HeunDiscreteScheduler } from "./heun.js";
import { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler } from "./kdpm2.js";
import { LMSDiscreteScheduler } from "./lms.js";
import type { Scheduler } from "./scheduler.js";

type SchedulerClass = new (config: Record<string, unknown>) => Scheduler;

const CLASSES: Readonly<Record<string, SchedulerClass>> = {
  DDIMScheduler,
  DDPMScheduler,
  EulerAncestralDiscreteScheduler,
  EulerDiscreteScheduler,
  HeunDiscreteScheduler,
  KDPM2AncestralDiscreteScheduler,
  KDPM2DiscreteScheduler,
  LMSDiscreteScheduler,
};

/** The methods that {@link schedulerFromConfig} knows. */
export const schedulerNames: readonly string[] = Object.keys(CLASSES);

/**
 * The scheduler that a `scheduler_config.json` describes: its class by `_class_name`, its settings by the other keys. To try
 * another method on the same model, change `_class_name`: what the two methods share is kept.
 *
 * @throws SchedulerConfigError if the class, a key or a value is not known
 */
export function schedulerFromConfig(
  config: { readonly _class_name?: unknown } & Readonly<Record<string, unknown>>,
): Scheduler {
  const name = config._class_name;
  if (typeof name !== "string" || !Object.hasOwn(CLASSES, name)) {
    throw new SchedulerConfigError(
      `schedulerFromConfig: _class_name is ${JSON.stringify(name) ?? "missing"}; known: ${schedulerNames.join(", ")}.`,
    );
  }
  return new CLASSES[name]!(config);
}
