/** `@tfjs-diffusion/core/training`: losses, the optimiser, and the loop that resumes bit for bit. */
export { AdamW, type AdamWOptions, type AdamWState } from "./adamw.js";
export { ParameterBuckets } from "./buckets.js";
export { checkpointFile, type CheckpointStore } from "./checkpoint-file.js";
export { dropConditions } from "./condition-dropout.js";
export { dataOrder } from "./data-order.js";
export {
  denoisingLoss,
  type DenoisingLossOptions,
  type ForwardProcess,
  minSnrWeights,
  type TrainingTarget,
} from "./denoising-loss.js";
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
export { TrainableLora, type TrainableLoraOptions } from "./lora.js";
export { straightness, type StraightnessOptions } from "./straightness.js";
export { train } from "./train.js";
export type { BatchContext, LearningRate, TrainingStep, TrainOptions, WithEma } from "./train-options.js";
export { trainingFlaws } from "./training-flaws.js";
