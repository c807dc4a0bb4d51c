import type * as tf from "@tensorflow/tfjs";
import { requireOption } from "../options/option-checks.js";

/** The options that set the size of pictures. */
interface SizeOptions {
  latents?: tf.Tensor | undefined;
  width?: number | undefined;
  height?: number | undefined;
}

/**
 * The shape of the noise to start from, [B, H, W, C]: of the size that is asked for, else that of the `latents`, else
 * that of training.
 *
 * @param batch number of pictures
 * @param picture height, width and channels of the pictures that the network was trained on
 * @throws PipelineOptionError for `latents` of another shape
 */
export function sampleShape(
  { latents, width, height }: SizeOptions,
  batch: number,
  [trainedHeight, trainedWidth, channels]: readonly [number, number, number],
): [number, number, number, number] {
  if (!latents) return [batch, height ?? trainedHeight, width ?? trainedWidth, channels];
  const { shape, dtype } = latents;
  requireOption(dtype === "float32", "latents", dtype, "float32");
  const expected = [batch, height ?? "height", width ?? "width", channels];
  const fits = shape.length === 4 && expected.every((side, axis) => typeof side === "string" || side === shape[axis]);
  requireOption(fits, "latents", `[${shape.join(", ")}]`, `[${expected.join(", ")}], a row for each picture`);
  return shape as [number, number, number, number];
}
