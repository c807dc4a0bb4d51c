import type { NativeKernel } from "./fused.js";

/** x [..., C], w, b [C] -> the same shape, and mean and 1 / deviation [..., 1] for the gradient. */
export const layerNorm: NativeKernel<"x" | "w" | "b", { eps: number }> = (ops, { x, w, b }, { eps }) => {
  const mean = ops.mean(x, [-1]);
  const c = ops.sub(x, mean);
  const inverse = ops.rsqrt(ops.add(ops.mean(ops.square(c), [-1]), ops.scalar(eps)));
  return [ops.add(ops.mul(ops.mul(c, inverse), w), b), mean, inverse];
};

/** saved0 and saved1 are mean and 1 / deviation, dy [..., C] -> gradients of x, w and b. */
export const layerNormGradient: NativeKernel<"x" | "w" | "saved0" | "saved1" | "dy"> = (
  ops,
  { x, w, saved0: mean, saved1: inverse, dy },
) => {
  const others = x.shape.slice(0, -1).map((_, axis) => axis);
  const h = ops.mul(ops.sub(x, mean), inverse);
  const [dh, dw] = [ops.mul(dy, h), ops.mul(dy, w)];
  const slope = ops.mean(ops.mul(dh, w), [-1]);
  const dx = ops.mul(ops.sub(dw, ops.add(ops.mul(h, slope), ops.mean(dw, [-1]))), inverse);
  return [dx, ops.sum(dh, others), ops.sum(dy, others)];
};
