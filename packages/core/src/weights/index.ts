/** `@tfjs-diffusion/core/weights`: safetensors files and model folders. */
export type { Dtype, NumberArray } from "./dtypes.js";
export { DisposedError } from "../platform/disposed.js";
export { WeightsFormatError, WeightsMismatchError, WeightsReadError } from "./errors.js";
export type { SaveOptions } from "./model-folder.js";
export type { BytesFrom } from "./open-bytes.js";
export { parametersToTensors, readParameters, type WeightPrecision } from "./parameters.js";
export type { TensorInfo } from "./safetensors-header.js";
export { openSafetensors, type SafetensorsFile } from "./safetensors.js";
export { encodeSafetensors, type TensorsToWrite, type TensorToWrite, writeSafetensors } from "./write-safetensors.js";
export { PlatformError } from "../platform/platform-error.js";
export { FileWriteError } from "../platform/write-files.js";
