export { brownianNoise, type BrownianNoise } from "./brownian.js";
export { combine, type Quantity, type Sum, sum, type Term } from "./combine.js";
export type { ConfigKey, ConfigOf, ConfigSpec, Settings } from "./config.js";
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
export { SchedulerConfigError } from "./errors.js";
export { EulerAncestralDiscreteScheduler, type EulerAncestralDiscreteConfig } from "./euler-ancestral.js";
export { EulerDiscreteScheduler, type EulerDiscreteConfig } from "./euler.js";
export {
  FlowMatchEulerDiscreteScheduler,
  FlowMatchHeunDiscreteScheduler,
  type FlowMatchEulerDiscreteConfig,
  type FlowMatchHeunDiscreteConfig,
} from "./flow-match.js";
export { diffuse, posterior, velocityOf } from "./forward.js";
export { schedulerFromConfig, schedulerNames } from "./from-config.js";
export { guide, rescaleGuidance } from "./guidance.js";
export { HeunDiscreteScheduler, type HeunDiscreteConfig } from "./heun.js";
export { IPNDMScheduler, type IPNDMConfig } from "./ipndm.js";
export { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler, type KDPM2DiscreteConfig } from "./kdpm2.js";
export { keyedNoise, keyedRandom, permutation, type KeyedNoise, type RandomNumbers } from "./keyed-noise.js";
export { LCMScheduler, type LCMConfig } from "./lcm.js";
export { LMSDiscreteScheduler, type LMSDiscreteConfig } from "./lms.js";
export type { NoiseSource } from "./noise.js";
export { PNDMScheduler, type PNDMConfig } from "./pndm.js";
export {
  type Level,
  levelOf,
  outputFor,
  predict,
  predictEpsilon,
  predictX0,
  type Prediction,
  type PredictionType,
} from "./prediction.js";
export { RePaintScheduler, type RePaintConfig } from "./repaint.js";
export { replayNoise } from "./replay-noise.js";
export { SASolverScheduler, type SASolverConfig } from "./sa-solver.js";
export {
  alphaBars,
  betas,
  type BetaSchedule,
  rescaleZeroTerminalSnr,
  type ScheduleConfig,
  sigmaOf,
  snrOf,
} from "./schedule.js";
export {
  BaseScheduler,
  type Plan,
  type PlanOptions,
  type PlanRequest,
  type Scheduler,
  type State,
  type StepOptions,
} from "./scheduler.js";
export { ScoreSdeVeScheduler, ScoreSdeVpScheduler, type ScoreSdeVeConfig, type ScoreSdeVpConfig } from "./score-sde.js";
export { alignYourSteps, betaSigmas, exponentialSigmas, karrasSigmas } from "./sigma-schedule.js";
export { spacedTimesteps, type TimestepSpacing } from "./spacing.js";
export { TCDScheduler } from "./tcd.js";
export { dynamicThreshold, limitX0, type ThresholdingConfig } from "./thresholding.js";
export { torchNoise } from "./torch-noise.js";
export { UnCLIPScheduler, type UnCLIPConfig } from "./unclip.js";
export { UniPCMultistepScheduler, type UniPCMultistepConfig } from "./unipc.js";
export { type Measurement, measureConvergence, orderOfConvergence, sampleMixture } from "./convergence.js";
export { type GaussianMixture, mixtureDenoiser } from "./mixture.js";
export { exactFlow } from "./probability-flow.js";
