/** `@tfjs-diffusion/core/text`: CLIP's tokenizer, and the syntax of prompts. */
export { nearestNames, type NearestNamesOptions } from "../platform/nearest-names.js";
export { type ComposedPart, composedParts } from "./composed-prompt.js";
export { type LoraTag, loraTags } from "./lora-tags.js";
export { type PromptChunk, type PromptChunkOptions, promptChunks } from "./prompt-chunks.js";
export { promptSchedule, type ScheduledPrompt } from "./prompt-schedule.js";
export { parsePromptWeights, promptSections, type WeightedText } from "./prompt-weights.js";
export { TokenizerFilesError, type TokenizerParts } from "./tokenizer-files.js";
export { CLIPTokenizer, type EncodeOptions, type TokenizerFolderOptions } from "./tokenizer.js";
