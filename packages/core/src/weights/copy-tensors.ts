import type { Parameter } from "../nn/parameter.js";
import { float32, isPrecision, matchNames, requirePrecision, type WeightPrecision } from "./parameters.js";
import type { SafetensorsFile } from "./safetensors.js";
import type { TensorToWrite } from "./write-safetensors.js";

/** How to copy. */
export interface CopyOptions {
  /** Default: as stored, where it is F32, F16 or BF16, and F32 elsewhere. */
  dtype?: WeightPrecision;
  /** Ends the copying before the next tensor: no file is left half written. */
  signal?: AbortSignal;
}

/**
 * A network's tensors under its own names, ready for writeSafetensors: each is read from the files when its turn comes,
 * so that networks of any size are copied in the memory of one tensor. The files must stay open until then.
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
