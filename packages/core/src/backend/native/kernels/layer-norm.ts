import { sizeOf } from "../../../platform/size-of.js";
import type { NativeLayerKernel } from "./kernel.js";
import type { NativeTensor } from "../binding.js";
import type { NativeOps } from "../ops.js";

/** x [..., C], w, b [C] -> the same shape. */
export const nativeLayerNorm: NativeLayerKernel<"x" | "w" | "b", { eps: number }> = {
  forward(ops, { x, w, b }, { eps }) {
    const features = x.shape.at(-1)!;
    const rows = ops.reshape(x, [sizeOf(x.shape) / features, features]);
    const inOne = ops.layerNorm(rows, w, b, eps);
    return inOne ? [ops.reshape(inOne, x.shape)] : [ops.add(ops.mul(normalised(ops, x, eps).h, w), b)];
  },

  /** dy [..., C] -> gradients of x, w and b. */
  gradient(ops, { x, w, dy }, { eps }) {
    const { h, inverse } = normalised(ops, x, eps);
    const others = x.shape.slice(0, -1).map((_, axis) => axis);
    const [dh, dw] = [ops.mul(dy, h), ops.mul(dy, w)];
    const slope = ops.mean(ops.mul(dh, w), [-1]);
    const dx = ops.mul(ops.sub(dw, ops.add(ops.mul(h, slope), ops.mean(dw, [-1]))), inverse);
    return [dx, ops.sum(dh, others), ops.sum(dy, others)];
  },
};

/** x with mean 0 and variance 1 over the last axis, and 1 / its original standard deviation. */
function normalised(ops: NativeOps, x: NativeTensor, eps: number): { h: NativeTensor; inverse: NativeTensor } {
  const c = ops.sub(x, ops.mean(x, [-1]));
  const inverse = ops.rsqrt(ops.add(ops.mean(ops.square(c), [-1]), ops.scalar(eps)));
  return { h: ops.mul(c, inverse), inverse };
}
