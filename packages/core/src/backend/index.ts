/** `@tfjs-diffusion/core/backend`: the choice of the TensorFlow.js backend. */
export { BACKEND_NAMES, type BackendName, type BackendOptions } from "./candidate.js";
export { BackendMemoryError, backendMemory, limitMemory } from "../platform/backend-memory.js";
export { BackendUnavailableError } from "./errors.js";
export { type ChosenBackend, useBackend } from "./use-backend.js";
