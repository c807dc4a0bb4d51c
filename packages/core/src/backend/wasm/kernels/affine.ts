import type * as tf from "@tensorflow/tfjs";
import { sizeOf } from "../../../platform/size-of.js";
import type { WasmLayerKernel } from "./kernel.js";
import { product, transposedProduct } from "./mat-mul.js";
import { sumRows } from "./reduce.js";

/** x [..., in], weight [in, out], optional bias [out] -> [..., out]. */
export const wasmAffine: WasmLayerKernel<"x" | "weight" | "bias"> = {
  forward(wasm, { x, weight, bias }) {
    const { rows, inFeatures, outFeatures } = sizes(x, weight);
    const y = wasm.output([...x.shape.slice(0, -1), outFeatures]);
    product(wasm, {
      a: wasm.address(x),
      b: wasm.address(weight),
      bias: wasm.address(bias),
      c: wasm.address(y),
      m: rows,
      n: outFeatures,
      depth: inFeatures,
    });
    return [y];
  },

  /** dy [..., out] -> gradients of x, weight and the bias, if there is one. */
  gradient(wasm, { x, weight, bias, dy }) {
    const { rows, inFeatures, outFeatures } = sizes(x, weight);
    const [dx, dWeight] = [wasm.output(x.shape), wasm.output(weight.shape)];
    product(wasm, {
      a: wasm.address(dy),
      b: wasm.address(weight),
      isTransposed: true,
      c: wasm.address(dx),
      m: rows,
      n: inFeatures,
      depth: outFeatures,
    });
    transposedProduct(wasm, {
      a: wasm.address(x),
      b: wasm.address(dy),
      c: wasm.address(dWeight),
      m: inFeatures,
      n: outFeatures,
      depth: rows,
    });
    if (!bias) return [dx, dWeight];
    return [dx, dWeight, sumRows(wasm, dy, bias.shape)];
  },
};

function sizes(x: tf.TensorInfo, weight: tf.TensorInfo) {
  const [inFeatures, outFeatures] = weight.shape as [number, number];
  return { rows: sizeOf(x.shape) / inFeatures, inFeatures, outFeatures };
}
