import type { CheckpointFamily } from "../models/published-configs.js";
import type { DrawingEstimate } from "./drawing-estimate.js";
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

/** The properties of a LoRA or of a related format. */
export interface LoraReport {
  /** LoRA, LoHa, LoKr, DoRA, full difference; followed by "(not read)" if it cannot be loaded here. */
  methods: string[];
  /** The number of layers that it changes. */
  modules: number;
  ranks: number[];
  /** The alphas of the first layers that have one, and of the settings in the file. */
  alphas: number[];
  /** Words for prompts that were learned together with it. */
  words: string[];
}

/** The properties of a checkpoint that can be read without its weights. */
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
  /** The memory that a drawing takes besides the weights, for a checkpoint that can draw. */
  drawing?: DrawingEstimate;
  /** Number of classes, for a denoiser that draws one of them. */
  classes?: number;
  /** Only for a LoRA. */
  lora?: LoraReport;
  /** Other facts: averaged weights, the rank of a LoRA, … */
  notes: string[];
}
