import { openSafetensors } from "../weights/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../weights/write-safetensors.js";

export type StoredTensors = Map<string, TensorToWrite>;

/** The tensors and the metadata of a file. */
export async function readStored(
  path: string,
): Promise<{ tensors: StoredTensors; metadata: Readonly<Record<string, string>> }> {
  const file = await openSafetensors(path);
  const tensors: StoredTensors = new Map();
  for (const [name, { dtype, shape }] of file.tensors) tensors.set(name, { dtype, shape, data: await file.read(name) });
  const { metadata } = file;
  await file.close();
  return { tensors, metadata };
}

/** Writes a changed copy of a file to `copy`, and returns that path. */
export async function writeChanged(
  path: string,
  copy: string,
  change: (tensors: StoredTensors) => StoredTensors,
): Promise<string> {
  const { tensors, metadata } = await readStored(path);
  await writeSafetensors(copy, change(tensors), metadata);
  return copy;
}
