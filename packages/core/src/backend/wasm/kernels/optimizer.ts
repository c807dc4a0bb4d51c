import type * as tf from "@tensorflow/tfjs";
import { type FusedKernel, type Place, sizeOf } from "./fused.js";

const FLOAT = 4;

interface AdamWAttributes {
  parts: number;
  keep: number;
  fresh1: number;
  keep2: number;
  fresh2: number;
  eps: number;
  rate: number;
}

/**
 * A list of moments m and v of any number of parameters, one after another; of these, `parts` tensors; and of their
 * gradients, as many, or all one after another in one tensor -> the new m, v and parameters. Moments that are nobody
 * else's, as an optimizer's are, are written over, so that less memory is touched.
 */
export const adamWInParts: FusedKernel<string, AdamWAttributes> = (place, inputs, attributes) => {
  const { parts: count, keep, fresh1, keep2, fresh2, eps, rate } = attributes;
  const [oldM, oldV, ...rest] = Object.values(inputs) as [tf.TensorInfo, tf.TensorInfo, ...tf.TensorInfo[]];
  const [m, v] = [toWriteOver(place, oldM), toWriteOver(place, oldV)];
  const parts = rest.slice(0, count);
  const gradientsAt = addresses(place, rest.slice(count), parts);
  let [mAt, vAt] = [place.at(m), place.at(v)];
  const moved = parts.map((p, i) => {
    const [newP, size] = [place.make(p.shape), sizeOf(p.shape)];
    place.simd.adamW(
      place.at(p),
      mAt,
      vAt,
      gradientsAt[i]!,
      size,
      keep,
      fresh1,
      keep2,
      fresh2,
      eps,
      rate,
      place.at(newP),
    );
    mAt += FLOAT * size;
    vAt += FLOAT * size;
    return newP;
  });
  return [m, v, ...moved];
};

/**
 * A list of an average and values -> average + (values - average) fresh, written over the average if it is nobody
 * else's too.
 */
export const movingAverage: FusedKernel<string, { fresh: number }> = (place, inputs, { fresh }) => {
  const [old, ...values] = Object.values(inputs) as [tf.TensorInfo, ...tf.TensorInfo[]];
  const average = toWriteOver(place, old);
  let to = place.at(average);
  for (const value of values) {
    const size = sizeOf(value.shape);
    place.simd.movingAverage(to, place.at(value), size, fresh, to);
    to += FLOAT * size;
  }
  return [average];
};

/** Where the numbers for each part begin: in a tensor of its own, or all in the first. */
function addresses(place: Place, tensors: tf.TensorInfo[], parts: tf.TensorInfo[]): number[] {
  if (tensors.length === parts.length) return tensors.map((tensor) => place.at(tensor));
  let at = place.at(tensors[0]);
  return parts.map(({ shape }) => {
    const own = at;
    at += FLOAT * sizeOf(shape);
    return own;
  });
}

/** The tensor itself, or a copy of it where others have its data. */
function toWriteOver(place: Place, tensor: tf.TensorInfo): tf.TensorInfo {
  place.at(tensor); // which fetches it from another backend, if it is there
  return place.isShared(tensor) ? place.copy(tensor) : place.again(tensor);
}

/** A list of tensors of any shapes -> all their numbers in that order, as one vector. */
export const flatJoin: FusedKernel<string> = (place, inputs) => {
  const parts = Object.values(inputs);
  const joined = place.make([parts.reduce((sum, { shape }) => sum + sizeOf(shape), 0)]);
  let to = place.at(joined);
  for (const part of parts) {
    const bytes = FLOAT * sizeOf(part.shape);
    place.simd.copyRows(place.at(part), 0, to, 0, bytes, 1);
    to += bytes;
  }
  return [joined];
};

/** The reverse: a vector -> tensors of `shapes`. */
export const flatSplit: FusedKernel<"joined", { shapes: number[][] }> = (place, { joined }, { shapes }) => {
  let from = place.at(joined);
  return shapes.map((shape) => {
    const [part, bytes] = [place.make(shape), FLOAT * sizeOf(shape)];
    place.simd.copyRows(from, 0, place.at(part), 0, bytes, 1);
    from += bytes;
    return part;
  });
};
