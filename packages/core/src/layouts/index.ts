/** `@tfjs-diffusion/core/layouts`: checkpoints as folders and as single files: inspection and conversion. */
export { convertFolder, type ConvertFolderOptions } from "./convert-folder.js";
export { convertLora, type ConvertLoraOptions } from "./convert-lora.js";
export { folderToSingleFile, type ToFileOptions } from "./convert-to-file.js";
export { singleFileToFolder, type ToFolderOptions } from "./convert-to-folder.js";
export type { CheckpointFamily } from "../models/published-configs.js";
export type { DrawingEstimate } from "./drawing-estimate.js";
export type { CheckpointKind, CheckpointPart, CheckpointReport, LoraReport } from "./checkpoint-report.js";
export { inspectCheckpoint } from "./inspect.js";
export type { PredictionGuess } from "./prediction.js";
export { loadSingleFile, type SingleFileOptions, type SingleFileParts } from "./single-file.js";
export type { TensorTotals } from "./tensor-totals.js";
export { CLIP_VOCABULARY, type VocabularySource } from "./vocabulary.js";
