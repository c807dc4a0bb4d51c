export { brownianNoise, type BrownianNoise } from "./noise/brownian.js";
export { combine, type Quantity, type Sum, sum, type Term } from "./combine.js";
export {
  BETA_KEYS,
  CLIPPING_KEYS,
  type ConfigKey,
  type ConfigOf,
  type ConfigSpec,
  type ConfigValue,
  publicConfig,
  SIGMA_SCHEDULE_KEYS,
  type Settings,
  SPACING_KEYS,
  THRESHOLDING_KEYS,
} from "./config.js";
export { CMStochasticIterativeScheduler, type CMStochasticIterativeConfig } from "./methods/consistency.js";
export { DDIMInverseScheduler, type DDIMInverseConfig } from "./methods/ddim-inverse.js";
export { DDIMScheduler, type DDIMConfig } from "./methods/ddim.js";
export { DDPMScheduler, type DDPMConfig, type VarianceType } from "./methods/ddpm.js";
export { DEISMultistepScheduler, type DEISMultistepConfig } from "./methods/deis.js";
export {
  DPMSolverMultistepInverseScheduler,
  type DPMSolverMultistepInverseConfig,
} from "./methods/dpm-solver-inverse.js";
export { DPMSolverSDEScheduler, type DPMSolverSDEConfig } from "./methods/dpm-solver-sde.js";
export { DPMSolverSinglestepScheduler, type DPMSolverSinglestepConfig } from "./methods/dpm-solver-singlestep.js";
export { DPMSolverMultistepScheduler, type DPMSolverMultistepConfig } from "./methods/dpm-solver.js";
export {
  EDMDPMSolverMultistepScheduler,
  EDMEulerScheduler,
  type EDMDPMSolverMultistepConfig,
  type EDMEulerConfig,
} from "./methods/edm.js";
export { SchedulerConfigError } from "./errors.js";
export { EulerAncestralDiscreteScheduler, type EulerAncestralDiscreteConfig } from "./methods/euler-ancestral.js";
export { EulerDiscreteScheduler, type EulerDiscreteConfig } from "./methods/euler.js";
export {
  FlowMatchEulerDiscreteScheduler,
  FlowMatchHeunDiscreteScheduler,
  type FlowMatchEulerDiscreteConfig,
  type FlowMatchHeunDiscreteConfig,
} from "./methods/flow-match.js";
export { diffuse, posterior, velocityOf } from "./forward.js";
export {
  type FromConfigOptions,
  type SchedulerClass,
  schedulerClasses,
  schedulerFromConfig,
  schedulerNames,
} from "./from-config.js";
export { guide, rescaleGuidance } from "./guidance.js";
export { HeunDiscreteScheduler, type HeunDiscreteConfig } from "./methods/heun.js";
export { IPNDMScheduler, type IPNDMConfig } from "./methods/ipndm.js";
export { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler, type KDPM2DiscreteConfig } from "./methods/kdpm2.js";
export { keyedNoise, keyedRandom, permutation, type KeyedNoise, type RandomNumbers } from "./noise/keyed-noise.js";
export { LCMScheduler, type LCMConfig } from "./methods/lcm.js";
export { LMSDiscreteScheduler, type LMSDiscreteConfig } from "./methods/lms.js";
export type { NoiseSource } from "./noise/noise.js";
export { PNDMScheduler, type PNDMConfig } from "./methods/pndm.js";
export { type Call, makePlan, type PlanParts } from "./plan.js";
export {
  epsilonOf,
  type Level,
  levelOf,
  outputFor,
  predict,
  predictEpsilon,
  predictX0,
  type Prediction,
  type PredictionType,
  x0Of,
} from "./prediction.js";
export { RePaintScheduler, type RePaintConfig } from "./methods/repaint.js";
export { replayNoise } from "./noise/replay-noise.js";
export { SASolverScheduler, type SASolverConfig } from "./methods/sa-solver.js";
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
export {
  ScoreSdeVeScheduler,
  ScoreSdeVpScheduler,
  type ScoreSdeVeConfig,
  type ScoreSdeVpConfig,
} from "./methods/score-sde.js";
export { alignYourSteps, betaSigmas, exponentialSigmas, karrasSigmas } from "./sigma-schedule.js";
export { type NoiseLevels, type SigmaPlanParts, SigmaScheduler, slopeAt } from "./sigma-scheduler.js";
export { DYNAMIC_SHIFT_KEYS, SOLVER_KEYS, type SolverLevel, SolverScheduler } from "./solver-scheduler.js";
export { spacedTimesteps, type TimestepSpacing } from "./spacing.js";
export { TCDScheduler } from "./methods/tcd.js";
export { dynamicThreshold, limitX0, type ThresholdingConfig } from "./numerics/thresholding.js";
export { DEFAULT_TRAITS, type NetworkKind, type SchedulerTraits } from "./traits.js";
export { TrainedScheduler } from "./trained.js";
export {
  edmLevel,
  logitNormalTimes,
  logNormalSigmas,
  type Mixture,
  shiftedTimes,
  type TimeDistribution,
  type TrainingExample,
  trainingExample,
  type TrainingLevel,
  trainingLevel,
  type TrainingRule,
  uniformTimes,
  uniformTimesteps,
  variancePreserving,
} from "./training.js";
export { torchNoise } from "./noise/torch-noise.js";
export { UnCLIPScheduler, type UnCLIPConfig } from "./methods/unclip.js";
export { UniPCMultistepScheduler, type UniPCMultistepConfig } from "./methods/unipc.js";
export { type Measurement, measureConvergence, orderOfConvergence, sampleMixture } from "./analysis/convergence.js";
export { type GaussianMixture, mixtureDenoiser } from "./analysis/mixture.js";
export { exactFlow } from "./analysis/probability-flow.js";
