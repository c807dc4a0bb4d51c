import type * as tf from "@tensorflow/tfjs";
import { ELEMENTWISE } from "../context.js";
import type { WasmTfKernel } from "./kernel.js";

/** tf.erf: any shape in, the same shape out. */
export const erf: WasmTfKernel = (wasm, stock) => (call) => {
  const { x } = call.inputs as { x: tf.Tensor };
  if (x.dtype !== "float32") return stock(call);
  const output = wasm.output(x.shape);
  wasm.run("erf", { count: x.size, work: ELEMENTWISE }, ({ from, size }) => [
    wasm.address(x, from),
    size,
    wasm.address(output, from),
  ]);
  return output;
};
