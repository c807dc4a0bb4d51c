import * as tf from "@tensorflow/tfjs";
import type { Parameter } from "../nn/parameter.js";
import { doraChange, type MagnitudeAxis } from "./formats/dora.js";
import type { ByRole, LoraFormat } from "./formats/format.js";
import type { LoraPart } from "./lora-models.js";

/** A change of one parameter. */
export interface LoraChange {
  part: LoraPart;
  /** The parameter's name in its network. */
  name: string;
  format: LoraFormat;
  /** The tensors by their roles in the format, in PyTorch's order. */
  tensors: ByRole<tf.Tensor>;
  /** alpha / rank, or 1 without alpha. */
  factor: number;
  /** DoRA's magnitudes: one number for each index of an axis of the weight. */
  magnitude?: { values: tf.Tensor; axis: MagnitudeAxis };
}

/** The changes of a LoRA, by the parameters that they change. */
export type LoraChanges = ReadonlyMap<Parameter, LoraChange>;

/** The tensor that is added to the weight `base` at this scale, in PyTorch's order; the caller owns it. */
export function changeOf({ format, tensors, factor, magnitude }: LoraChange, base: tf.Tensor, scale: number) {
  return tf.tidy(() => {
    const delta = format.delta(tensors, base.shape).mul(scale * factor);
    return magnitude ? doraChange(base, delta, magnitude.values, magnitude.axis) : delta;
  });
}

/** Frees the tensors of the changes. */
export function disposeChanges(changes: LoraChanges): void {
  for (const { tensors, magnitude } of changes.values()) tf.dispose([Object.values(tensors), magnitude?.values ?? []]);
}
