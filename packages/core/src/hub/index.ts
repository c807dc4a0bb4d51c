/** `@tfjs-diffusion/core/hub`: downloads from the Hugging Face hub, into the cache that Python uses. */
export { downloadFromHub, type HubOptions, type HubProgress } from "./download.js";
export { HubError, type HubFailure } from "./errors.js";
export type { HubModelOptions } from "./model-source.js";
export type { FileSelection } from "./select-files.js";
