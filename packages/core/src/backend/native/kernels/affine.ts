import { sizeOf } from "../../../platform/size-of.js";
import type { NativeLayerKernel } from "./kernel.js";
import type { NativeTensor } from "../binding.js";
import type { NativeOps } from "../ops.js";

/** x [..., in], weight [in, out], optional bias [out] -> [..., out]. */
export const nativeAffine: NativeLayerKernel<"x" | "weight" | "bias"> = {
  forward(ops, { x, weight, bias }) {
    const product = ops.matMul(rows(ops, x), weight);
    const y = bias ? ops.add(product, bias) : product;
    return [ops.reshape(y, [...x.shape.slice(0, -1), weight.shape[1]!])];
  },

  /** dy [..., out] -> gradients of x, weight and the bias, if there is one. */
  gradient(ops, { x, weight, bias, dy }) {
    const d = rows(ops, dy);
    const dx = ops.reshape(ops.matMul(d, weight, { transposeB: true }), x.shape);
    const dWeight = ops.matMul(rows(ops, x), d, { transposeA: true });
    return bias ? [dx, dWeight, ops.sum(d, [0])] : [dx, dWeight];
  },
};

function rows(ops: NativeOps, x: NativeTensor): NativeTensor {
  const features = x.shape.at(-1)!;
  return ops.reshape(x, [sizeOf(x.shape) / features, features]);
}
