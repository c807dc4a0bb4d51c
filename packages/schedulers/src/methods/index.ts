/**
 * All sampling methods. `schedulerFromConfig` looks classes up in this list, and the package exports them. To add a
 * method, write its file and add a line here. All exported values must be scheduler classes.
 */
export { CMStochasticIterativeScheduler, type CMStochasticIterativeConfig } from "./consistency.js";
export { DDIMInverseScheduler, type DDIMInverseConfig } from "./ddim-inverse.js";
export { DDIMScheduler, type DDIMConfig } from "./ddim.js";
export { DDPMScheduler, type DDPMConfig, type VarianceType } from "./ddpm.js";
export { DEISMultistepScheduler, type DEISMultistepConfig } from "./deis.js";
export { DPMSolverMultistepInverseScheduler, type DPMSolverMultistepInverseConfig } from "./dpm-solver-inverse.js";
export { DPMSolverSDEScheduler, type DPMSolverSDEConfig } from "./dpm-solver-sde.js";
export { DPMSolverSinglestepScheduler, type DPMSolverSinglestepConfig } from "./dpm-solver-singlestep.js";
export { DPMSolverMultistepScheduler, type DPMSolverMultistepConfig } from "./dpm-solver.js";
export {
  EDMDPMSolverMultistepScheduler,
  EDMEulerScheduler,
  type EDMDPMSolverMultistepConfig,
  type EDMEulerConfig,
} from "./edm.js";
export { EulerAncestralDiscreteScheduler, type EulerAncestralDiscreteConfig } from "./euler-ancestral.js";
export { EulerDiscreteScheduler, type EulerDiscreteConfig } from "./euler.js";
export {
  FlowMatchEulerDiscreteScheduler,
  FlowMatchHeunDiscreteScheduler,
  type FlowMatchEulerDiscreteConfig,
  type FlowMatchHeunDiscreteConfig,
} from "./flow-match.js";
export { HeunDiscreteScheduler, type HeunDiscreteConfig } from "./heun.js";
export { IPNDMScheduler, type IPNDMConfig } from "./ipndm.js";
export { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler, type KDPM2DiscreteConfig } from "./kdpm2.js";
export { LCMScheduler, type LCMConfig } from "./lcm.js";
export { LMSDiscreteScheduler, type LMSDiscreteConfig } from "./lms.js";
export { PNDMScheduler, type PNDMConfig } from "./pndm.js";
export { RePaintScheduler, type RePaintConfig } from "./repaint.js";
export { SASolverScheduler, type SASolverConfig } from "./sa-solver.js";
export { ScoreSdeVeScheduler, ScoreSdeVpScheduler, type ScoreSdeVeConfig, type ScoreSdeVpConfig } from "./score-sde.js";
export { TCDScheduler } from "./tcd.js";
export { UnCLIPScheduler, type UnCLIPConfig } from "./unclip.js";
export { UniPCMultistepScheduler, type UniPCMultistepConfig } from "./unipc.js";
