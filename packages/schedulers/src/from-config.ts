import { CMStochasticIterativeScheduler } from "./consistency.js";
import { DDIMInverseScheduler } from "./ddim-inverse.js";
import { DDIMScheduler } from "./ddim.js";
import { DDPMScheduler } from "./ddpm.js";
import { DEISMultistepScheduler } from "./deis.js";
import { DPMSolverMultistepInverseScheduler } from "./dpm-solver-inverse.js";
import { DPMSolverSDEScheduler } from "./dpm-solver-sde.js";
import { DPMSolverSinglestepScheduler } from "./dpm-solver-singlestep.js";
import { DPMSolverMultistepScheduler } from "./dpm-solver.js";
import { EDMDPMSolverMultistepScheduler, EDMEulerScheduler } from "./edm.js";
import { SchedulerConfigError } from "./errors.js";
import { EulerAncestralDiscreteScheduler } from "./euler-ancestral.js";
import { EulerDiscreteScheduler } from "./euler.js";
import { FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler } from "./flow-match.js";
import { HeunDiscreteScheduler } from "./heun.js";
import { IPNDMScheduler } from "./ipndm.js";
import { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler } from "./kdpm2.js";
import { LCMScheduler } from "./lcm.js";
import { LMSDiscreteScheduler } from "./lms.js";
import { PNDMScheduler } from "./pndm.js";
import { RePaintScheduler } from "./repaint.js";
import { SASolverScheduler } from "./sa-solver.js";
import type { Scheduler } from "./scheduler.js";
import { ScoreSdeVeScheduler, ScoreSdeVpScheduler } from "./score-sde.js";
import { TCDScheduler } from "./tcd.js";
import { UnCLIPScheduler } from "./unclip.js";
import { UniPCMultistepScheduler } from "./unipc.js";

type SchedulerClass = new (config: Record<string, unknown>) => Scheduler;

const CLASSES: Readonly<Record<string, SchedulerClass>> = {
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
  const name: unknown = (config as typeof config | null | undefined)?._class_name;
  if (typeof name !== "string" || !Object.hasOwn(CLASSES, name)) {
    throw new SchedulerConfigError(
      `schedulerFromConfig: _class_name is ${JSON.stringify(name) ?? "missing"}; known: ${schedulerNames.join(", ")}.`,
    );
  }
  return new CLASSES[name]!(config);
}
