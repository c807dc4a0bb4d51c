import * as tf from "@tensorflow/tfjs";
import type { Ending } from "./format.js";

/** PEFT's name of the magnitudes, and that of LyCORIS and kohya's scripts. */
export const MAGNITUDE_ENDINGS: readonly Ending[] = [
  { pattern: /\.lora_magnitude_vector(?:\.\w+)?(?:\.weight)?$/, role: "lora_magnitude_vector", of: "weight" },
  { pattern: /\.dora_scale$/, role: "dora_scale", of: "weight" },
];

export const MAGNITUDE_ROLES: readonly string[] = MAGNITUDE_ENDINGS.map(({ role }) => role);

/** The axis of the weight in PyTorch's order, [out, in, …], that has a magnitude for each place. */
export type MagnitudeAxis = 0 | 1;

/**
 * Which axis a module's magnitudes belong to; undefined if they fit none. PEFT has one for each output. LyCORIS wrote
 * [1, in, 1, 1] at first, one for each input, and now writes [out, 1, 1, 1]; ComfyUI tells them apart the same way.
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
 * where the norm is over all axes but that of the magnitudes m. `delta` carries the scale, as in PEFT and diffusers
 * (LyCORIS takes the whole delta, and the scale's share of dW).
 *
 * base, delta: [out, in, …]; magnitude: as many numbers as `axis` of them is long. The caller owns the result.
 */
export function doraChange(base: tf.Tensor, delta: tf.Tensor, magnitude: tf.Tensor, axis: MagnitudeAxis): tf.Tensor {
  return tf.tidy(() => {
    const directions = base.add(delta);
    const others = base.shape.map((_, i) => i).filter((i) => i !== axis);
    const norms = directions.square().sum(others, true).sqrt();
    // A row of zeros has no direction, and stays.
    const scaled = tf.divNoNan(directions.mul(magnitude.reshape(norms.shape)), norms);
    return scaled.sub(base);
  });
}
