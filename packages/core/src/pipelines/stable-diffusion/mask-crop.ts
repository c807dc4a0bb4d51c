import type * as tf from "@tensorflow/tfjs";
import {
  black,
  type BytePicture,
  cropped,
  fromBytePictures,
  paste,
  type Region,
  toBytes,
} from "../../image/byte-picture.js";
import { CUBIC, LANCZOS } from "../../image/resample-weights.js";
import { resizedAsPillow } from "../../image/resize-as-pillow.js";
import { PipelineOptionError } from "../options/errors.js";

/** Width and height in pixels. */
type Size = readonly [width: number, height: number];

/**
 * Only-masked inpainting: the part of a picture around its mask is enlarged to the size that the network draws, and
 * what is drawn is reduced again and pasted into the picture. Pictures are rounded to 8 bits where they are resized, so
 * that the results are those of diffusers' `padding_mask_crop`, which resizes with Pillow.
 */
export interface MaskCrop {
  /** The picture, [1 or B, H, W, 3] in [0, 1]. */
  image: tf.Tensor4D;
  /** [1 or B, H, W, 1] in [0, 1] */
  mask: tf.Tensor4D;
  /** Pixels of the picture around the masked part that are drawn as well. */
  padding: number;
  /** Width and height that are drawn. */
  size: Size;
}

/**
 * The enlarged parts of the picture, [1 or B, h, w, 3], and of the mask, [1 or B, h, w, 1]. The caller owns them.
 *
 * @throws PipelineOptionError if a mask is 0 everywhere
 */
export async function enlargedParts(crop: MaskCrop): Promise<{ image: tf.Tensor4D; mask: tf.Tensor4D }> {
  const { size } = crop;
  const [images, masks] = [await toBytes(crop.image), await toBytes(crop.mask)];
  const regions = masks.map((mask) => regionOf(mask, crop));
  const part = (picture: BytePicture, region: Region) => filled(cropped(picture, region), size);
  const rows = Math.max(images.length, masks.length);
  const parts = Array.from({ length: rows }, (_, b) => part(rowOf(images, b), rowOf(regions, b)));
  return {
    image: fromBytePictures(regions.length === 1 ? images.map((image) => part(image, regions[0]!)) : parts),
    mask: fromBytePictures(masks.map((mask, b) => part(mask, regions[b]!))),
  };
}

/** Drawn pictures [B, h, w, 3], reduced and at their places in black pictures [B, H, W, 3]; the caller owns these. */
export async function reducedParts(drawn: tf.Tensor4D, crop: MaskCrop): Promise<tf.Tensor4D> {
  const [, height, width] = crop.mask.shape;
  const regions = (await toBytes(crop.mask)).map((mask) => regionOf(mask, crop));
  const frames = (await toBytes(drawn)).map((picture, b) => {
    const region = rowOf(regions, b);
    const frame = black(width, height, picture.channels);
    paste(frame, covered(picture, [region.right - region.left, region.bottom - region.top]), region.left, region.top);
    return frame;
  });
  return fromBytePictures(frames);
}

/** The row of one picture of a batch, where a single row is for all. */
function rowOf<T>(rows: readonly T[], b: number): T {
  return rows[rows.length === 1 ? 0 : b]!;
}

/**
 * The smallest region that contains the mask and its padding, grown to the drawn picture's ratio of width to height as
 * far as the picture allows: diffusers' `get_crop_region`.
 */
function regionOf(mask: BytePicture, { padding, size }: Pick<MaskCrop, "padding" | "size">): Region {
  const masked = boundsOf(mask);
  const left = Math.max(masked.left - padding, 0);
  const top = Math.max(masked.top - padding, 0);
  const right = Math.min(masked.right + padding, mask.width);
  const bottom = Math.min(masked.bottom + padding, mask.height);
  const ratio = size[0] / size[1];
  if ((right - left) / (bottom - top) > ratio) {
    const [from, to] = grown([top, bottom], (right - left) / ratio, mask.height);
    return { left, right, top: from, bottom: to };
  }
  const [from, to] = grown([left, right], (bottom - top) * ratio, mask.width);
  return { left: from, right: to, top, bottom };
}

/** The smallest region that contains all pixels that are not 0. */
function boundsOf({ width, height, data }: BytePicture): Region {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[y * width + x] === 0) continue;
      [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
    }
  }
  if (right > 0) return { left, top, right, bottom };
  throw new PipelineOptionError("mask: 0 everywhere; with paddingMaskCrop, mark what to redraw.");
}

/** An interval of the wanted length, grown on both sides, or on one side where it reaches 0 or `most`. */
function grown([from, to]: readonly [number, number], wanted: number, most: number): [number, number] {
  const further = Math.trunc(wanted - (to - from));
  const length = Math.min(to - from + further, most);
  const start = Math.min(Math.max(from - Math.floor(further / 2), 0), most - length);
  return [start, start + length];
}

/**
 * Enlarges or reduces a picture until it fits into a size, in its middle. The rest repeats the picture's edges, as in
 * diffusers' `_resize_and_fill`.
 */
function filled(picture: BytePicture, [width, height]: Size): BytePicture {
  const isWider = picture.width / picture.height > width / height;
  const inner = scaledTo(isWider ? "width" : "height", picture, [width, height]);
  const [left, top] = offset(inner, [width, height]);
  const result = black(width, height, picture.channels);
  paste(result, inner, left, top);
  if (top > 0) {
    const edge = (y: number) => edgeOf(inner, [width, top], { left: 0, right: width, top: y, bottom: y });
    paste(result, edge(0), 0, 0);
    paste(result, edge(inner.height), 0, top + inner.height);
  } else if (left > 0) {
    const edge = (x: number) => edgeOf(inner, [left, height], { left: x, right: x, top: 0, bottom: height });
    paste(result, edge(0), 0, 0);
    paste(result, edge(inner.width), left + inner.width, 0);
  }
  return result;
}

/** An edge of a picture, as an empty region of it, stretched to a size. */
function edgeOf(picture: BytePicture, size: Size, edge: Region): BytePicture {
  return resizedAsPillow(picture, size, CUBIC, edge);
}

/** Enlarges or reduces a picture until it covers a size, and keeps the middle, as in diffusers' `_resize_and_crop`. */
function covered(picture: BytePicture, [width, height]: Size): BytePicture {
  const isWider = picture.width / picture.height >= width / height;
  const inner = scaledTo(isWider ? "height" : "width", picture, [width, height]);
  const result = black(width, height, picture.channels);
  paste(result, inner, ...offset(inner, [width, height]));
  return result;
}

/** A picture with this side of a size; the other one keeps their ratio. */
function scaledTo(side: "width" | "height", picture: BytePicture, [width, height]: Size): BytePicture {
  const size: Size =
    side === "width"
      ? [width, Math.max(Math.floor((picture.height * width) / picture.width), 1)]
      : [Math.max(Math.floor((picture.width * height) / picture.height), 1), height];
  return resizedAsPillow(picture, size, LANCZOS);
}

/** Left and top of a picture in the middle of a size; negative if it is larger. */
function offset(inner: BytePicture, [width, height]: Size): [left: number, top: number] {
  const between = (from: number, to: number) => Math.floor(to / 2) - Math.floor(from / 2);
  return [between(inner.width, width), between(inner.height, height)];
}
