import { CMStochasticIterativeScheduler } from "./methods/consistency.js";
import { DDIMInverseScheduler } from "./methods/ddim-inverse.js";
import { DDIMScheduler } from "./methods/ddim.js";
import { DDPMScheduler } from "./methods/ddpm.js";
import { DEISMultistepScheduler } from "./methods/deis.js";
import { DPMSolverMultistepInverseScheduler } from "./methods/dpm-solver-inverse.js";
import { DPMSolverSDEScheduler } from "./methods/dpm-solver-sde.js";
import { DPMSolverSinglestepScheduler } from "./methods/dpm-solver-singlestep.js";
import { DPMSolverMultistepScheduler } from "./methods/dpm-solver.js";
import { EDMDPMSolverMultistepScheduler, EDMEulerScheduler } from "./methods/edm.js";
import { SchedulerConfigError } from "./errors.js";
import { EulerAncestralDiscreteScheduler } from "./methods/euler-ancestral.js";
import { EulerDiscreteScheduler } from "./methods/euler.js";
import { FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler } from "./methods/flow-match.js";
import { HeunDiscreteScheduler } from "./methods/heun.js";
import { IPNDMScheduler } from "./methods/ipndm.js";
import { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler } from "./methods/kdpm2.js";
import { LCMScheduler } from "./methods/lcm.js";
import { LMSDiscreteScheduler } from "./methods/lms.js";
import { PNDMScheduler } from "./methods/pndm.js";
import { RePaintScheduler } from "./methods/repaint.js";
import { SASolverScheduler } from "./methods/sa-solver.js";
import type { Scheduler } from "./scheduler.js";
import { ScoreSdeVeScheduler, ScoreSdeVpScheduler } from "./methods/score-sde.js";
import type { SchedulerTraits } from "./traits.js";
import { TCDScheduler } from "./methods/tcd.js";
import { UnCLIPScheduler } from "./methods/unclip.js";
import { UniPCMultistepScheduler } from "./methods/unipc.js";

/** A class of schedulers: built from a config, and with traits that hold for the default one. */
export interface SchedulerClass {
  new (config: Record<string, unknown>): Scheduler;
  readonly traits?: SchedulerTraits;
}

/** The classes that {@link schedulerFromConfig} knows, by `_class_name`. */
export const schedulerClasses: Readonly<Record<string, SchedulerClass>> = {
  CMStochasticIterativeScheduler,
  DDIMInverseScheduler,
  DDIMScheduler,
  DDPMScheduler,
  DEISMultistepScheduler,
  DPMSolverMultistepInverseScheduler,
  DPMSolverMultistepScheduler,
  DPMSolverSDEScheduler,
  DPMSolverSinglestepScheduler,
  EDMDPMSolverMultistepScheduler,
  EDMEulerScheduler,
  EulerAncestralDiscreteScheduler,
  EulerDiscreteScheduler,
  FlowMatchEulerDiscreteScheduler,
  FlowMatchHeunDiscreteScheduler,
  HeunDiscreteScheduler,
  IPNDMScheduler,
  KDPM2AncestralDiscreteScheduler,
  KDPM2DiscreteScheduler,
  LCMScheduler,
  LMSDiscreteScheduler,
  PNDMScheduler,
  RePaintScheduler,
  SASolverScheduler,
  ScoreSdeVeScheduler,
  ScoreSdeVpScheduler,
  TCDScheduler,
  UnCLIPScheduler,
  UniPCMultistepScheduler,
};

/** Their names. */
export const schedulerNames: readonly string[] = Object.keys(schedulerClasses);

/** Where to look for classes besides {@link schedulerClasses}. */
export interface FromConfigOptions {
  /** Classes of one's own by `_class_name`, such as `{ MyScheduler }`; looked up first. */
  readonly classes?: Readonly<Record<string, SchedulerClass>>;
}

/**
 * The scheduler that a `scheduler_config.json` describes: its class by `_class_name`, its settings by the other keys.
 * To try another method on the same model, change `_class_name`: what the two methods share is kept.
 *
 * @throws SchedulerConfigError if the class, a key or a value is not known, or a class of one's own has another name in
 *   its config
 */
export function schedulerFromConfig(
  config: { readonly _class_name?: unknown } & Readonly<Record<string, unknown>>,
  { classes = {} }: FromConfigOptions = {},
): Scheduler {
  const name: unknown = (config as typeof config | null | undefined)?._class_name;
  const known = { ...schedulerClasses, ...classes };
  if (typeof name !== "string" || !Object.hasOwn(known, name)) {
    throw new SchedulerConfigError(
      `schedulerFromConfig: _class_name is ${JSON.stringify(name) ?? "missing"}; known: ${Object.keys(known).join(", ")}. ` +
        "Give a class of your own as classes: { MyScheduler }.",
    );
  }
  const scheduler = new known[name]!(config);
  if (scheduler.config._class_name !== name) {
    throw new SchedulerConfigError(
      `schedulerFromConfig: the class ${name} has _class_name ${scheduler.config._class_name} in its config, so that what is saved ` +
        `would open as another; give it the className ${name}.`,
    );
  }
  return scheduler;
}
