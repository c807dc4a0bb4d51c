/** `@tfjs-diffusion/core/text`: CLIP's tokenizer, and weights in prompts. */
export { nearestNames, type NearestNamesOptions } from "../platform/nearest-names.js";
export { parsePromptWeights, type WeightedText } from "./prompt-weights.js";
export { TokenizerFilesError, type TokenizerParts } from "./tokenizer-files.js";
export { CLIPTokenizer, type EncodeOptions, type TokenizerFolderOptions } from "./tokenizer.js";
