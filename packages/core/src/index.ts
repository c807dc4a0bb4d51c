export { AdamW, type AdamWOptions, type AdamWState } from "./training/adamw.js";
export { ParameterBuckets } from "./training/buckets.js";
export { Ema } from "./training/ema.js";
export { clipGradients, globalNorm, parameterGradients } from "./training/gradients.js";
export { warmupCosine } from "./training/learning-rate.js";

export { BACKEND_NAMES, type BackendName, type BackendOptions } from "./backend/candidate.js";
export { BackendUnavailableError, type ChosenBackend, useBackend } from "./backend/use-backend.js";
