import type { Parameter } from "../nn/parameter.js";
import { float32, isPrecision, matchNames, requirePrecision, type WeightPrecision } from "./parameters.js";
import type { SafetensorsFile } from "./safetensors.js";
import type { TensorToWrite } from "./write-safetensors.js";

/** How to copy tensors. */
export interface CopyOptions {
  /** Default: as stored if that is F32, F16 or BF16, else F32. */
  dtype?: WeightPrecision;
  /** Stops before the next tensor; no incomplete file remains. */
  signal?: AbortSignal;
}

/**
 * A network's tensors under its own names, for writeSafetensors. Each is read from the files when it is written, so
 * that copying needs the memory of one tensor. The files must stay open until then.
 *
 * @throws WeightsMismatchError listing every missing, unexpected and wrongly shaped tensor; RangeError for an unknown
 *   `dtype`
 */
export function tensorsToCopy(
  files: readonly SafetensorsFile[],
  parameters: ReadonlyMap<string, Parameter>,
  { dtype, signal }: CopyOptions = {},
): Map<string, TensorToWrite> {
  if (dtype !== undefined) requirePrecision(dtype);
  const sources = matchNames(files, parameters);
  return new Map(
    [...parameters].map(([name, { diskShape }]) => {
      const { file, stored } = sources.get(name)!;
      const kept = file.tensors.get(stored)!.dtype;
      const data = async () => {
        signal?.throwIfAborted();
        return float32(await file.read(stored));
      };
      return [name, { dtype: dtype ?? (isPrecision(kept) ? kept : "F32"), shape: diskShape, data }];
    }),
  );
}
