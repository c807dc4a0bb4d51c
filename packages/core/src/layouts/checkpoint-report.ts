import type { CheckpointFamily } from "./families.js";
import type { PredictionGuess } from "./prediction.js";
import type { TensorTotals } from "./tensor-totals.js";

/** Kinds of checkpoints. */
export type CheckpointKind =
  "pipeline folder" | "model folder" | "single file" | "network" | "lora" | "textual inversion" | "unknown";

/** One network of a checkpoint, or one of several sets of its weights. */
export interface CheckpointPart extends TensorTotals {
  /** Name as in a diffusers folder: `unet`, `vae`, `text_encoder`, …; "other" for tensors of no known network. */
  name: string;
  /** Class named by its config. */
  className?: string;
  /** Variant of this set of weights, such as "fp16". */
  variant?: string;
}

/** What is known of a checkpoint without reading its weights. */
export interface CheckpointReport {
  kind: CheckpointKind;
  /** Missing if neither names nor sizes show it. */
  family?: CheckpointFamily;
  parts: CheckpointPart[];
  prediction?: PredictionGuess;
  /** Height and width in pixels of the pictures it was trained on. */
  pictureSize?: number;
  /** Input channels of the UNet: 4, or 9 for inpainting. */
  inChannels?: number;
  /** Other facts: averaged weights, the rank of a LoRA, … */
  notes: string[];
}
