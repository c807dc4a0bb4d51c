import type { CheckpointFamily } from "./families.js";
import type { PredictionGuess } from "./prediction.js";
import type { TensorTotals } from "./tensor-totals.js";

/** What kind of thing a checkpoint is. */
export type CheckpointKind =
  "pipeline folder" | "model folder" | "single file" | "network" | "lora" | "textual inversion" | "unknown";

/** One network of a checkpoint, or one set of its weights where it has several. */
export interface CheckpointPart extends TensorTotals {
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
