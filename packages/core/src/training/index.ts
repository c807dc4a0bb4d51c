/** `@tfjs-diffusion/core/training`: losses, the optimiser, and the loop that resumes bit for bit. */
export { AdamW, type AdamWOptions, type AdamWState } from "./adamw.js";
export { ParameterBuckets } from "./buckets.js";
export { checkpointFile, type CheckpointStore } from "./checkpoint-file.js";
export { dropConditions } from "./condition-dropout.js";
export {
  consistencyFunction,
  consistencyLoss,
  type ConsistencyLossOptions,
  type ConsistencySettings,
} from "./consistency.js";
export { newControlNet, type NewControlNetOptions } from "./controlnet.js";
export { dataOrder } from "./data-order.js";
export {
  denoisingLoss,
  type DenoisingLossOptions,
  type ForwardProcess,
  minSnrWeights,
  type TrainingTarget,
} from "./denoising-loss.js";
export { denoisingErrors, type DenoisingErrorsOptions } from "./denoising-errors.js";
export { ddimMove } from "./ddim-move.js";
export { diagnose, type DiagnoseOptions, type Diagnosis } from "./diagnose.js";
export type { Fault } from "./fault.js";
export type { LevelReport } from "./diagnose-network.js";
export { edmLoss, type EdmLossOptions, preconditioned } from "./edm.js";
export { Ema } from "./ema.js";
export {
  CheckpointMismatchError,
  CheckpointWriteError,
  DamagedCheckpointError,
  NonFiniteError,
  TrainingInterruptedError,
  TrainingLockedError,
} from "./errors.js";
export { clipGradients, globalNorm, parameterGradients } from "./gradients.js";
export { warmupCosine } from "./learning-rate.js";
export { type LatentConsistencyOptions, latentConsistencyLoss } from "./latent-consistency.js";
export { type LikelihoodOptions, logLikelihood } from "./likelihood.js";
export { TrainableLora, type TrainableLoraOptions } from "./lora.js";
export { progressiveDistillationLoss, type ProgressiveDistillationOptions } from "./progressive-distillation.js";
export { straightness, type StraightnessOptions } from "./straightness.js";
export { train } from "./train.js";
export type { BatchContext, LearningRate, TrainingStep, TrainOptions, WithEma } from "./train-options.js";
export { trainingFlaws } from "./training-flaws.js";
export { ddimTrajectory, type Trajectory, type TrajectoryPoint } from "./trajectory.js";
export { withoutGradient } from "./without-gradient.js";
export { saveSdxlWord, TrainableWord, type TrainableWordOptions } from "./word.js";
