import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import { FLOAT_BYTES } from "../memory.js";
import type { WasmTfKernel } from "./kernel.js";

/** tf.concat: the reverse of tf.split. */
export const concat: WasmTfKernel = (wasm, stock) => (call) => {
  const parts = Object.values(call.inputs) as tf.TensorInfo[];
  const { dtype, shape } = parts[0]!;
  if ((dtype !== "float32" && dtype !== "int32") || parts.some((part) => part.dtype !== dtype)) return stock(call);
  const [along] = tf.util.parseAxisParam((call.attrs as { axis: number }).axis, shape) as [number];
  const shapes = parts.map((part) => part.shape);
  tf.backend_util.assertParamsConsistent(shapes, along);
  const joined = wasm.output(tf.backend_util.computeOutShape(shapes, along), dtype);
  const outer = sizeOf(shape.slice(0, along));
  const bytesOf = (whole: number[]) => FLOAT_BYTES * sizeOf(whole.slice(along));
  const row = bytesOf(joined.shape);
  let to = wasm.address(joined);
  for (const part of parts) {
    const bytes = bytesOf(part.shape);
    wasm.copyRows(wasm.address(part), bytes, to, row, bytes, outer);
    to += bytes;
  }
  return joined;
};
