import { addOnName } from "../adapters/add-on-file.js";
import { fileExists, joinPath, listFolder } from "../platform/files.js";
import { type BytesFrom, isSingleFile } from "../weights/open-bytes.js";
import { openSafetensors } from "../weights/safetensors.js";
import type { CheckpointReport } from "./checkpoint-report.js";
import { inspectFile } from "./inspect-file.js";
import { inspectFolder } from "./inspect-folder.js";

/**
 * Inspects a checkpoint by its headers and config files: a folder of diffusers or transformers, a single file of any
 * family, a lone network, a LoRA, a textual inversion, or a folder with one of these. Takes milliseconds and little
 * memory, for files of any size. A server does not list its files, so that of a folder there only the weights without a
 * variant are found.
 *
 * @throws WeightsFormatError if a file is not safetensors; the message says what it probably is. WeightsReadError if
 *   nothing exists there
 */
export async function inspectCheckpoint(from: BytesFrom): Promise<CheckpointReport> {
  const address = await folderAddress(from);
  if (address !== undefined) return inspectFolder(address);
  const isPath = typeof from === "string" && !/^(https?|blob|data|file):/i.test(from);
  const names = isPath ? await listFolder(from) : [];
  if (isPath && (names.length > 0 || (await fileExists(joinPath(from, "."))))) {
    const isModel = names.includes("model_index.json") || names.includes("config.json");
    const addOn = isModel ? undefined : addOnName(names);
    return addOn === undefined ? inspectFolder(from) : inspectCheckpoint(joinPath(from, addOn));
  }
  const file = await openSafetensors(from);
  try {
    return await inspectFile(file);
  } finally {
    await file.close();
  }
}

/** The address, if it is a folder of a model on a server. A file there may have any name. */
async function folderAddress(from: BytesFrom): Promise<string | undefined> {
  const address = from instanceof URL ? from.href : from;
  if (typeof address !== "string" || !/^https?:[^?#]*$/i.test(address)) return undefined;
  const isFile: boolean = isSingleFile(address);
  if (isFile) return undefined;
  for (const name of ["model_index.json", "config.json"]) {
    if (await fileExists(joinPath(address, name))) return address.replace(/\/$/, "");
  }
  return undefined;
}
