import { addOnName } from "../adapters/add-on-file.js";
import { fileExists, joinPath, listFolder } from "../platform/files.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { openSafetensors } from "../weights/safetensors.js";
import type { CheckpointFamily } from "./families.js";
import { inspectFile } from "./inspect-file.js";
import { inspectFolder } from "./inspect-folder.js";
import type { PredictionGuess } from "./prediction.js";
import type { TensorTally } from "./tally.js";

/** What kind of thing a checkpoint is. */
export type CheckpointKind =
  "pipeline folder" | "model folder" | "single file" | "network" | "lora" | "textual inversion" | "unknown";

/** One network of a checkpoint, or one set of its weights where it has several. */
export interface CheckpointPart extends TensorTally {
  /** As in a diffusers folder: `unet`, `vae`, `text_encoder`, …; "other" for what belongs to none. */
  name: string;
  /** The class that its config names. */
  className?: string;
  /** Which of several sets of weights, such as "fp16". */
  variant?: string;
}

/** What a checkpoint says of itself without its weights being read. */
export interface CheckpointReport {
  kind: CheckpointKind;
  /** Missing where neither names nor sizes tell. */
  family?: CheckpointFamily;
  parts: CheckpointPart[];
  prediction?: PredictionGuess;
  /** Height and width in pixels that it was trained for. */
  pictureSize?: number;
  /** Channels that the UNet reads: 4, or 9 for inpainting. */
  inChannels?: number;
  /** What else is worth knowing: averaged weights, the rank of a LoRA, … */
  notes: string[];
}

/**
 * Says what a checkpoint is, from headers and config files alone: a folder of diffusers or transformers, a single file
 * of any family, a lone network, a LoRA, a textual inversion, or a folder that holds one of these. Takes milliseconds
 * and no memory, whatever the size.
 *
 * @throws WeightsFormatError for a file that is not safetensors, saying what it seems to be; WeightsReadError if
 *   nothing is there
 */
export async function inspectCheckpoint(from: BytesFrom): Promise<CheckpointReport> {
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
