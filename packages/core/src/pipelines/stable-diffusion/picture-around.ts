import * as tf from "@tensorflow/tfjs";
import { toUnit } from "../../image/to-unit.js";
import { rowsOfSlice, type Slice } from "../drawing/slices.js";
import { binaryMask, blend, pasteBack } from "./inpainting.js";
import type { MaskCrop } from "./mask-crop.js";
import { type CheckedOptions, withAllAxes } from "./stable-diffusion-options.js";

/** A picture and its mask, with all axes. */
type Painted = { image: tf.Tensor4D; mask: tf.Tensor4D };

/**
 * With `paddingMaskCrop`, the enlarged parts of the picture and its mask, which are drawn in their place; otherwise
 * nothing. The caller owns them.
 *
 * @param factor pixels per latent, along each side
 */
export async function partToDraw(checked: CheckedOptions, factor: number): Promise<Partial<Painted>> {
  if (checked.paddingMaskCrop === undefined) return {};
  const { enlargedParts } = await import("./mask-crop.js");
  const painted = paintedOf(checked);
  try {
    return await enlargedParts({ ...painted, ...cropOf(checked, factor) });
  } finally {
    tf.dispose(painted);
  }
}

/**
 * Decoded pictures of a slice, about [-1, 1], to pictures in [0, 1]. With `pasteBack` they are the given picture
 * outside the mask; with `paddingMaskCrop` they are a part of it. The caller owns the result.
 *
 * @param factor pixels per latent, along each side
 */
export async function finished(
  decoded: tf.Tensor4D,
  checked: CheckedOptions,
  factor: number,
  slice: Slice,
): Promise<tf.Tensor4D> {
  const { pasteBack: isPasted, maskBlur, paddingMaskCrop } = checked;
  const drawn = toUnit(decoded);
  if (!isPasted && paddingMaskCrop === undefined) return drawn;
  const held: tf.Tensor[] = [drawn];
  try {
    const { image, mask } = paintedOf(checked, slice);
    held.push(image, mask);
    const crop = { image, mask, ...cropOf(checked, factor) };
    const whole =
      paddingMaskCrop === undefined ? drawn.clone() : await (await import("./mask-crop.js")).reducedParts(drawn, crop);
    held.push(whole);
    return tf.tidy(() => {
      // As in diffusers, a soft mask mixes both pictures.
      if (!isPasted) return blend(image, whole, mask);
      const tiled = (x: tf.Tensor4D) =>
        x.shape[0] === whole.shape[0] ? x : x.tile<tf.Tensor4D>([whole.shape[0], 1, 1, 1]);
      return pasteBack(tiled(image), whole, tiled(binaryMask(mask)), maskBlur);
    });
  } finally {
    tf.dispose(held);
  }
}

/** The picture and the mask of all pictures, or of a slice; the caller owns them. */
function paintedOf({ image, mask }: CheckedOptions, slice?: Slice): Painted {
  const [height, width] = image!.shape.slice(-3) as [number, number];
  return tf.tidy(() => {
    const whole = { image: withAllAxes(image!, [height, width, 3]), mask: withAllAxes(mask!, [height, width, 1]) };
    return slice ? { image: rowsOfSlice(whole.image, slice), mask: rowsOfSlice(whole.mask, slice) } : whole;
  });
}

function cropOf({ paddingMaskCrop, shape }: CheckedOptions, factor: number): Pick<MaskCrop, "padding" | "size"> {
  return { padding: paddingMaskCrop!, size: [shape[2] * factor, shape[1] * factor] };
}
