import * as methods from "./methods/index.js";
import { SchedulerConfigError, shown } from "./errors.js";
import type { Scheduler } from "./scheduler.js";
import type { SchedulerTraits } from "./traits.js";

/** A class of schedulers: its constructor takes a config, and its static traits are those of the default config. */
export interface SchedulerClass {
  new (config: Record<string, unknown>): Scheduler;
  readonly traits?: SchedulerTraits;
}

/** The classes that {@link schedulerFromConfig} knows, by `_class_name`. */
export const schedulerClasses: Readonly<Record<string, SchedulerClass>> = { ...methods };

/** Their names. */
export const schedulerNames: readonly string[] = Object.keys(schedulerClasses);

/** Further classes besides {@link schedulerClasses}. */
export interface FromConfigOptions {
  /** Your own classes by `_class_name`, such as `{ MyScheduler }`; they are looked up first. */
  readonly classes?: Readonly<Record<string, SchedulerClass>>;
}

/**
 * The scheduler that a `scheduler_config.json` describes: its class by `_class_name`, its settings by the other keys.
 * To try another method on the same model, change `_class_name`: the settings that both methods have are kept.
 *
 * @throws SchedulerConfigError if the class, a key or a value is unknown, or if one of `classes` has another
 *   `_class_name` in its config
 */
export function schedulerFromConfig(
  config: { readonly _class_name?: unknown } & Readonly<Record<string, unknown>>,
  { classes = {} }: FromConfigOptions = {},
): Scheduler {
  const name: unknown = (config as typeof config | null | undefined)?._class_name;
  const known = { ...schedulerClasses, ...classes };
  if (typeof name !== "string" || !Object.hasOwn(known, name)) {
    throw new SchedulerConfigError(
      `schedulerFromConfig: _class_name is ${name === undefined ? "missing" : shown(name)}; known: ${Object.keys(known).join(", ")}. ` +
        "Give a class of your own as classes: { MyScheduler }.",
    );
  }
  const Class: unknown = known[name];
  if (typeof Class !== "function") {
    throw new SchedulerConfigError(
      `schedulerFromConfig: classes has ${String(Class)} for ${name}; give the class itself, as classes: { ${name} }.`,
    );
  }
  const scheduler = new (Class as SchedulerClass)(config);
  const { _class_name: own } = scheduler.config ?? {};
  if (own !== name) {
    throw new SchedulerConfigError(
      `schedulerFromConfig: the class ${name} has _class_name ${own} in its config, and a saved config ` +
        `would open as that class; set its className to ${name}.`,
    );
  }
  return scheduler;
}
