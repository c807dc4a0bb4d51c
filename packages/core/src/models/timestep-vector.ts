import * as tf from "@tensorflow/tfjs";
import { ModelInputError } from "./errors.js";

/** Timesteps as a tensor of 1 entry, for a number, or of B; call inside a tidy. Throws ModelInputError. */
export function timestepVector(model: string, t: number | tf.Tensor1D, batch: number): tf.Tensor1D {
  checkTimestep(model, t, batch);
  return typeof t === "number" ? tf.tensor1d([t]) : t;
}

export function checkTimestep(model: string, t: number | tf.Tensor1D, batch: number): void {
  if (typeof t === "number" ? Number.isFinite(t) : t.rank === 1 && (t.size === batch || t.size === 1)) return;
  const given = typeof t === "number" ? String(t) : `a tensor [${t.shape.join(", ")}]`;
  throw new ModelInputError(`${model}: t is ${given}; expected a finite number or a tensor [B] with B = ${batch}.`);
}
