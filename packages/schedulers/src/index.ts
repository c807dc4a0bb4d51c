export { combine, type Term } from "./combine.js";
export { DDIMScheduler, type DDIMConfig } from "./ddim.js";
export { DDPMScheduler, type DDPMConfig, type VarianceType } from "./ddpm.js";
export { SchedulerConfigError } from "./errors.js";
export { EulerAncestralDiscreteScheduler, type EulerAncestralDiscreteConfig } from "./euler-ancestral.js";
export { EulerDiscreteScheduler, type EulerDiscreteConfig } from "./euler.js";
export { diffuse, posterior, velocityOf } from "./forward.js";
export { schedulerFromConfig, schedulerNames } from "./from-config.js";
export { HeunDiscreteScheduler, type HeunDiscreteConfig } from "./heun.js";
export { KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler, type KDPM2DiscreteConfig } from "./kdpm2.js";
export { keyedNoise, keyedRandom, permutation, type KeyedNoise, type RandomNumbers } from "./keyed-noise.js";
export { LMSDiscreteScheduler, type LMSDiscreteConfig } from "./lms.js";
export type { NoiseSource } from "./noise.js";
export {
  type Level,
  levelOf,
  predict,
  predictEpsilon,
  predictX0,
  type Prediction,
  type PredictionType,
} from "./prediction.js";
export { replayNoise } from "./replay-noise.js";
export { torchNoise } from "./torch-noise.js";
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
export { alignYourSteps, betaSigmas, exponentialSigmas, karrasSigmas } from "./sigma-schedule.js";
export { spacedTimesteps, type TimestepSpacing } from "./spacing.js";
export { dynamicThreshold, limitX0, type ThresholdingConfig } from "./thresholding.js";
