import type * as tf from "@tensorflow/tfjs";
import { type FusedKernel, type Place, sizeOf } from "./fused.js";

interface AdamWAttributes {
  keep: number;
  fresh1: number;
  keep2: number;
  fresh2: number;
  eps: number;
  rate: number;
}

/**
 * Parameters p, moments m and v, gradient g, all of one shape -> the new p, m, v. Moments that are nobody else's, as an optimizer's are,
 * are written over, so that a third less memory is touched.
 */
export const adamW: FusedKernel<"p" | "m" | "v" | "g", AdamWAttributes> = (place, { p, m, v, g }, attributes) => {
  const { keep, fresh1, keep2, fresh2, eps, rate } = attributes;
  const newP = place.make(p.shape);
  const [newM, newV] = [toWriteOver(place, m), toWriteOver(place, v)];
  // prettier-ignore
  place.simd.adamW(
    place.at(p), place.at(newM), place.at(newV), place.at(g), sizeOf(p.shape),
    keep, fresh1, keep2, fresh2, eps, rate, place.at(newP),
  );
  return [newP, newM, newV];
};

/** average + (value - average) fresh, written over the average if it is nobody else's too. */
export const movingAverage: FusedKernel<"average" | "value", { fresh: number }> = (
  place,
  { average, value },
  { fresh },
) => {
  const result = toWriteOver(place, average);
  place.simd.movingAverage(place.at(result), place.at(value), sizeOf(value.shape), fresh, place.at(result));
  return [result];
};

/** The tensor itself, or a copy of it where others have its data. */
function toWriteOver(place: Place, tensor: tf.TensorInfo): tf.TensorInfo {
  return place.isShared(tensor) ? place.copy(tensor) : place.again(tensor);
}

/** Tensors "0", "1", ... of any shapes -> all their numbers in that order, as one vector. */
export const flatJoin: FusedKernel<string> = (place, inputs) => {
  const parts = Object.values(inputs);
  const joined = place.make([parts.reduce((sum, { shape }) => sum + sizeOf(shape), 0)]);
  let to = place.at(joined);
  for (const part of parts) {
    const bytes = 4 * sizeOf(part.shape);
    place.simd.copyRows(place.at(part), 0, to, 0, bytes, 1);
    to += bytes;
  }
  return [joined];
};

/** The reverse: a vector -> tensors of `shapes`. */
export const flatSplit: FusedKernel<"joined", { shapes: number[][] }> = (place, { joined }, { shapes }) => {
  let from = place.at(joined);
  return shapes.map((shape) => {
    const [part, bytes] = [place.make(shape), 4 * sizeOf(shape)];
    place.simd.copyRows(from, 0, place.at(part), 0, bytes, 1);
    from += bytes;
    return part;
  });
};
