/** `@tfjs-diffusion/core/adapters`: LoRAs and learned words (textual inversion). */
export type { AddOnFileOptions } from "./add-on-file.js";
export type { LoraModels } from "./lora-models.js";
export type { LoraPart } from "./lora-models.js";
export type { LoraSettings } from "./lora-settings.js";
export type { BlockScales, SideScales } from "./block-scale.js";
export type { LoraPartScales, LoraScale } from "./lora-scale.js";
export { type LoadedLora, type LoadLoraOptions, LoraSet } from "./lora.js";
export { loadTextualInversion, type TextualInversionOptions } from "./textual-inversion.js";
