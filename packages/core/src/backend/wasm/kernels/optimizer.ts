import type * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import { ELEMENTWISE, type WasmContext } from "../context.js";
import { FLOAT_BYTES } from "../memory.js";
import type { WasmKernel } from "./kernel.js";

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
 * A list of the moments m and v of any number of parameters, one after another; the parameters in `parts` tensors; and
 * their gradients, in as many tensors or joined in one -> the new m, v and parameters. Moments that share their data
 * with no other tensor, such as an optimizer's, are overwritten, so less memory is accessed.
 */
export const wasmAdamWInParts: WasmKernel<string, AdamWAttributes> = (wasm, inputs, attributes) => {
  const { parts: count, keep, fresh1, keep2, fresh2, eps, rate } = attributes;
  const [oldM, oldV, ...rest] = Object.values(inputs) as [tf.TensorInfo, tf.TensorInfo, ...tf.TensorInfo[]];
  const [m, v] = [toWriteOver(wasm, oldM), toWriteOver(wasm, oldV)];
  const parts = rest.slice(0, count);
  const gradientsAt = addresses(wasm, rest.slice(count), parts);
  let first = 0;
  const moved = parts.map((p, i) => {
    const [newP, total, start] = [wasm.output(p.shape), sizeOf(p.shape), first];
    wasm.run("adamW", { count: total, work: ELEMENTWISE }, ({ from, size }) => [
      wasm.address(p, from),
      wasm.address(m, start + from),
      wasm.address(v, start + from),
      gradientsAt[i]! + FLOAT_BYTES * from,
      size,
      keep,
      fresh1,
      keep2,
      fresh2,
      eps,
      rate,
      wasm.address(newP, from),
    ]);
    first += total;
    return newP;
  });
  return [m, v, ...moved];
};

/**
 * A list of an average and values -> average + (values - average) fresh, which overwrites the average if that shares
 * its data with no other tensor.
 */
export const wasmMovingAverage: WasmKernel<string, { fresh: number }> = (wasm, inputs, { fresh }) => {
  const [old, ...values] = Object.values(inputs) as [tf.TensorInfo, ...tf.TensorInfo[]];
  const average = toWriteOver(wasm, old);
  let first = 0;
  for (const value of values) {
    const [total, start] = [sizeOf(value.shape), first];
    wasm.run("movingAverage", { count: total, work: ELEMENTWISE }, ({ from, size }) => [
      wasm.address(average, start + from),
      wasm.address(value, from),
      size,
      fresh,
      wasm.address(average, start + from),
    ]);
    first += total;
  }
  return [average];
};

/** The address of each part's numbers: each in its own tensor, or all in the first. */
function addresses(wasm: WasmContext, tensors: tf.TensorInfo[], parts: tf.TensorInfo[]): number[] {
  if (tensors.length === parts.length) return tensors.map((tensor) => wasm.address(tensor));
  let first = 0;
  return parts.map(({ shape }) => {
    const start = first;
    first += sizeOf(shape);
    return wasm.address(tensors[0], start);
  });
}

/** The tensor itself, or a copy if other tensors share its data. */
function toWriteOver(wasm: WasmContext, tensor: tf.TensorInfo): tf.TensorInfo {
  wasm.address(tensor); // This also moves it here if it is on another backend.
  return wasm.isShared(tensor) ? wasm.copy(tensor) : wasm.share(tensor);
}

/** A list of tensors of any shapes -> all their numbers in that order, as one vector. */
export const wasmFlatJoin: WasmKernel<string> = (wasm, inputs) => {
  const parts = Object.values(inputs);
  const joined = wasm.output([parts.reduce((sum, { shape }) => sum + sizeOf(shape), 0)]);
  let to = wasm.address(joined);
  for (const part of parts) {
    const bytes = FLOAT_BYTES * sizeOf(part.shape);
    wasm.copyRows(wasm.address(part), 0, to, 0, bytes, 1);
    to += bytes;
  }
  return [joined];
};

/** The reverse: a vector -> tensors of `shapes`. */
export const wasmFlatSplit: WasmKernel<"joined", { shapes: number[][] }> = (wasm, { joined }, { shapes }) => {
  let from = wasm.address(joined);
  return shapes.map((shape) => {
    const [part, bytes] = [wasm.output(shape), FLOAT_BYTES * sizeOf(shape)];
    wasm.copyRows(from, 0, wasm.address(part), 0, bytes, 1);
    from += bytes;
    return part;
  });
};
