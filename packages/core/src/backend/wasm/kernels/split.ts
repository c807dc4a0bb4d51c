import * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import { FLOAT_BYTES } from "../memory.js";
import type { WasmTfKernel } from "./kernel.js";

/** tf.split: cuts x along `axis` into parts of equal or given sizes. */
export const splitV: WasmTfKernel = (wasm, stock) => (call) => {
  const { x } = call.inputs as { x: tf.Tensor };
  const { numOrSizeSplits, axis } = call.attrs as { numOrSizeSplits: number | number[]; axis: number };
  const { dtype } = x;
  if (dtype !== "float32" && dtype !== "int32") return stock(call);
  const [along] = tf.util.parseAxisParam(axis, x.shape) as [number];
  const outer = sizeOf(x.shape.slice(0, along));
  const row = outer === 0 ? 0 : (x.size / outer) * FLOAT_BYTES;
  let from = 0;
  return tf.backend_util.prepareSplitSize(x, numOrSizeSplits, along).map((size) => {
    const part = wasm.output(
      x.shape.map((whole, i) => (i === along ? size : whole)),
      dtype,
    );
    const bytes = x.shape[along] === 0 ? 0 : (row / x.shape[along]!) * size;
    wasm.copyRows(wasm.address(x) + from, row, wasm.address(part), bytes, bytes, outer);
    from += bytes;
    return part;
  });
};
