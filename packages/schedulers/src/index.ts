export { batchNoise } from "./noise/batch-noise.js";
export { brownianNoise, type BrownianNoise } from "./noise/brownian.js";
export { channelsLast } from "./noise/channels-last.js";
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
export { type Denoise, edmHeun, type EdmHeunOptions } from "./edm-heun.js";
export { SchedulerConfigError } from "./errors.js";
export { diffuse, posterior, velocityOf } from "./forward.js";
export {
  type FromConfigOptions,
  type SchedulerClass,
  schedulerClasses,
  schedulerFromConfig,
  schedulerNames,
} from "./from-config.js";
export { guide, rescaleGuidance } from "./guidance.js";
export {
  classifierGuided,
  type ClassifierGuidanceOptions,
  guidedNetwork,
  type GuidedNetworkOptions,
} from "./guided-network.js";
export { keyedNoise, keyedRandom, permutation, type KeyedNoise, type RandomNumbers } from "./noise/keyed-noise.js";
export * from "./methods/index.js";
export type { NoiseSource } from "./noise/noise.js";
export { type Call, makePlan, type PlanParts } from "./plan.js";
export { preconditioning, type Preconditioning } from "./preconditioning.js";
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
export { replayNoise } from "./noise/replay-noise.js";
export { type Network, runPlan } from "./run-plan.js";
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
export { type NoiseLevels, type SigmaPlanParts, SigmaScheduler, slopeAt } from "./sigma-scheduler.js";
export { DYNAMIC_SHIFT_KEYS, SOLVER_KEYS, type SolverLevel, SolverScheduler } from "./solver-scheduler.js";
export { spacedTimesteps, type TimestepSpacing } from "./spacing.js";
export { dynamicThreshold, limitX0, type ThresholdingConfig } from "./numerics/thresholding.js";
export { DEFAULT_TRAITS, type NetworkKind, type SchedulerTraits } from "./traits.js";
export { TrainedScheduler } from "./trained.js";
export {
  edmLevel,
  impliedX0,
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
export { type Measurement, measureConvergence, orderOfConvergence, sampleMixture } from "./analysis/convergence.js";
export { type GaussianMixture, mixtureDenoiser } from "./analysis/mixture.js";
export { exactFlow } from "./analysis/probability-flow.js";
export {
  bitsPerDimension,
  type BoundInputs,
  type VariationalBound,
  variationalBound,
} from "./analysis/variational-bound.js";
