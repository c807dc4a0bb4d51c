import type * as tf from "@tensorflow/tfjs";
import { type FusedKernel, type Place, sizeOf } from "./fused.js";

const FLOAT = 4;

interface AdamWAttributes {
  keep: number;
  fresh1: number;
  keep2: number;
  fresh2: number;
  eps: number;
  rate: number;
}

/**
 * Moments m and v of any number of parameters, one after another; these as p0, p1, ...; and their gradients, each by itself as g0, g1, ... or all one
 * after another as g0 -> the new m, v, p0, p1, .... Moments that are nobody else's, as an optimizer's are, are written over,
 * so that less memory is touched.
 */
export const adamWInParts: FusedKernel<string, AdamWAttributes> = (place, inputs, attributes) => {
  const { keep, fresh1, keep2, fresh2, eps, rate } = attributes;
  const [m, v] = [toWriteOver(place, inputs.m!), toWriteOver(place, inputs.v!)];
  const [parts, gradients] = [numbered(inputs, "p"), numbered(inputs, "g")];
  const gradientsAt = addresses(place, gradients, parts);
  let offset = 0;
  const moved = parts.map((p, i) => {
    const [newP, count] = [place.make(p.shape), sizeOf(p.shape)];
    // prettier-ignore
    place.simd.adamW(
      place.at(p), place.at(m) + offset, place.at(v) + offset, gradientsAt[i]!, count,
      keep, fresh1, keep2, fresh2, eps, rate, place.at(newP),
    );
    offset += FLOAT * count;
    return newP;
  });
  return [m, v, ...moved];
};

/** average + (values - average) fresh, of values given as value0, value1, ...; written over the average if it is nobody else's too. */
export const movingAverage: FusedKernel<string, { fresh: number }> = (place, inputs, { fresh }) => {
  const average = toWriteOver(place, inputs.average!);
  let to = place.at(average);
  for (const value of numbered(inputs, "value")) {
    const count = sizeOf(value.shape);
    place.simd.movingAverage(to, place.at(value), count, fresh, to);
    to += FLOAT * count;
  }
  return [average];
};

/** The inputs called `name`0, `name`1, .... */
function numbered(inputs: Record<string, tf.TensorInfo>, name: string): tf.TensorInfo[] {
  const found: tf.TensorInfo[] = [];
  for (let input; (input = inputs[`${name}${found.length}`]);) found.push(input);
  return found;
}

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
  return place.isShared(tensor) ? place.copy(tensor) : place.again(tensor);
}

/** Tensors "0", "1", ... of any shapes -> all their numbers in that order, as one vector. */
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
