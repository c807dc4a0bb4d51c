import type { NativeLayerKernel } from "./kernel.js";
import type { NativeTensor } from "../binding.js";
import type { NativeOps } from "../ops.js";

/** x -> the same shape. */
export const nativeSilu: NativeLayerKernel<"x"> = {
  forward(ops, { x }) {
    return [ops.silu(x)];
  },

  gradient(ops, { x, dy }) {
    return [siluSlope(ops, x, dy)];
  },
};

/** dy times the derivative of SiLU: s + x s (1 - s), s = sigmoid(x). */
export function siluSlope(ops: NativeOps, x: NativeTensor, dy: NativeTensor): NativeTensor {
  const s = ops.sigmoid(x);
  return ops.add(ops.mul(dy, s), ops.sigmoidGradient(s, ops.mul(dy, x)));
}

/** x -> the same shape. */
export const nativeGelu: NativeLayerKernel<"x"> = {
  forward(ops, { x }) {
    return [ops.mul(x, normalDistribution(ops, x))];
  },

  gradient(ops, { x, dy }) {
    return [ops.mul(dy, geluSlope(ops, x))];
  },
};

/** x [..., 2 C] -> [..., C]: the first half times the GELU of the second. */
export const nativeGeglu: NativeLayerKernel<"x"> = {
  forward(ops, { x }) {
    const [value, gate] = ops.halves(x);
    return [ops.mul(value, ops.mul(gate, normalDistribution(ops, gate)))];
  },

  gradient(ops, { x, dy }) {
    const [value, gate] = ops.halves(x);
    const phi = normalDistribution(ops, gate);
    const dValue = ops.mul(dy, ops.mul(gate, phi));
    return [ops.concat([dValue, ops.mul(ops.mul(dy, value), geluSlope(ops, gate, phi))], x.shape.length - 1)];
  },
};

/** Phi(x) = (1 + erf(x / sqrt 2)) / 2. */
function normalDistribution(ops: NativeOps, x: NativeTensor): NativeTensor {
  const half = ops.scalar(0.5);
  return ops.add(ops.mul(ops.erf(ops.mul(x, ops.scalar(Math.SQRT1_2))), half), half);
}

/** Phi(x) + x phi(x), phi the density exp(-x^2 / 2) / sqrt(2 pi). */
function geluSlope(ops: NativeOps, x: NativeTensor, phi = normalDistribution(ops, x)): NativeTensor {
  const bell = ops.exp(ops.mul(ops.square(x), ops.scalar(-0.5)));
  return ops.add(ops.mul(x, ops.mul(bell, ops.scalar(1 / Math.sqrt(2 * Math.PI)))), phi);
}
