import * as tf from "@tensorflow/tfjs";
import type { Ending } from "./format.js";

/** The names of the magnitudes in PEFT, and in LyCORIS and kohya's scripts. */
export const MAGNITUDE_ENDINGS: readonly Ending[] = [
  { pattern: /\.lora_magnitude_vector(?:\.\w+)?(?:\.weight)?$/, role: "lora_magnitude_vector", of: "weight" },
  { pattern: /\.dora_scale$/, role: "dora_scale", of: "weight" },
];

export const MAGNITUDE_ROLES: readonly string[] = MAGNITUDE_ENDINGS.map(({ role }) => role);

/** The axis of the weight [out, in, …] (PyTorch's order) that has a magnitude for each index. */
export type MagnitudeAxis = 0 | 1;

/**
 * The axis that a module's magnitudes belong to; undefined if they fit neither. PEFT has one for each output. Early
 * versions of LyCORIS wrote [1, in, 1, 1], one for each input; later ones write [out, 1, 1, 1]. ComfyUI distinguishes
 * them in the same way.
 */
export function magnitudeAxis(
  role: string,
  shape: readonly number[],
  [out = 1, inputs = 1]: readonly number[],
): MagnitudeAxis | undefined {
  const size = tf.util.sizeFromShape([...shape]);
  const isByInput = role === "dora_scale" && shape.length > 1 && shape[0] === 1 && size === inputs && out !== 1;
  if (isByInput) return 1;
  return size === out ? 0 : undefined;
}

/**
 * DoRA (Liu et al. 2024, eq. 5): a weight as directions and magnitudes. The change of the weight `base` is
 *
 *     dW = m V / ||V|| - W,    V = W + delta
 *
 * where the norm is over all axes except that of the magnitudes m. `delta` includes the scale, as in PEFT and
 * diffusers. (LyCORIS computes V without the scale, and multiplies dW by it.)
 *
 * base, delta: [out, in, …]; magnitude: one number for each index of `axis`. The caller owns the result.
 */
export function doraChange(base: tf.Tensor, delta: tf.Tensor, magnitude: tf.Tensor, axis: MagnitudeAxis): tf.Tensor {
  return tf.tidy(() => {
    const directions = base.add(delta);
    const others = base.shape.map((_, i) => i).filter((i) => i !== axis);
    const norms = directions.square().sum(others, true).sqrt();
    // A row of zeros has no direction and is not changed.
    const scaled = tf.divNoNan(directions.mul(magnitude.reshape(norms.shape)), norms);
    return scaled.sub(base);
  });
}
