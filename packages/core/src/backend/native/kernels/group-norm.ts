import { sizeOf } from "../../../platform/size-of.js";
import { siluSlope } from "./activations.js";
import type { NativeLayerKernel } from "./kernel.js";
import type { NativeTensor } from "../binding.js";
import type { NativeOps } from "../ops.js";

interface Attributes {
  groups: number;
  eps: number;
  /** SiLU of the result. */
  silu: boolean;
}

/**
 * x [B, ..., C], w, b [C] -> the same shape, and mean and 1 / deviation [B, 1, C], spread over the channels of their
 * group, for the gradient. Sums run over space first, then over the few numbers left: faster than over both.
 */
export const nativeGroupNorm: NativeLayerKernel<"x" | "w" | "b", Attributes, "saved0" | "saved1"> = {
  forward(ops, { x, w, b }, { groups, eps, silu }) {
    const flat = ops.reshape(x, sizes(x));
    const mean = groupMean(ops, ops.mean(flat, [1]), groups);
    const c = ops.sub(flat, mean);
    const variance = groupMean(ops, ops.mean(ops.square(c), [1]), groups);
    const inverse = ops.rsqrt(ops.add(variance, ops.scalar(eps)));
    const y = ops.add(ops.mul(c, ops.mul(inverse, w)), b);
    return [ops.reshape(silu ? ops.silu(y) : y, x.shape), mean, inverse];
  },

  /** saved0 and saved1 are mean and 1 / deviation, dy [B, ..., C] -> gradients of x, w and b. */
  gradient(ops, { x, w, b, saved0: mean, saved1: inverse, dy }, { groups, silu }) {
    const flat = sizes(x);
    const c = ops.sub(ops.reshape(x, flat), mean);
    const scale = ops.mul(inverse, w);
    const given = ops.reshape(dy, flat);
    const d = silu ? siluSlope(ops, ops.add(ops.mul(c, scale), b), given) : given;
    const sum = ops.sum(d, [1], true);
    const projection = ops.sum(ops.mul(d, c), [1], true);
    const share = ops.mul(scale, ops.scalar(1 / flat[1]));
    const slope = ops.mul(groupMean(ops, ops.mul(projection, share), groups), ops.square(inverse));
    const back = ops.add(ops.mul(c, slope), groupMean(ops, ops.mul(sum, share), groups));
    const dx = ops.reshape(ops.sub(ops.mul(d, scale), back), x.shape);
    return [dx, ops.sum(ops.mul(projection, inverse), [0, 1]), ops.sum(sum, [0, 1])];
  },
};

/** [B, 1, C] -> the mean of each group, at each of its channels. */
function groupMean(ops: NativeOps, means: NativeTensor, groups: number): NativeTensor {
  const [batch, , channels] = means.shape as [number, number, number];
  if (groups === channels) return means;
  const members = channels / groups;
  const grouped = ops.mean(ops.reshape(means, [batch, groups, members]), [2]);
  return ops.reshape(ops.tile(grouped, [1, 1, members]), means.shape);
}

/** Batch, pixels, channels. */
function sizes({ shape }: NativeTensor): [number, number, number] {
  const [batch, channels] = [shape[0]!, shape.at(-1)!];
  return [batch, sizeOf(shape) / batch / channels, channels];
}
