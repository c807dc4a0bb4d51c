import type { NativeKernel } from "./fused.js";
import type { Raw } from "../binding.js";
import type { RawOps } from "../raw.js";

/** x -> the same shape. */
export const silu: NativeKernel<"x"> = (ops, { x }) => [ops.silu(x)];

export const siluGradient: NativeKernel<"x" | "dy"> = (ops, { x, dy }) => [siluSlope(ops, x, dy)];

/** dy times the derivative of SiLU: s + x s (1 - s), s = sigmoid(x). */
export function siluSlope(ops: RawOps, x: Raw, dy: Raw): Raw {
  const s = ops.sigmoid(x);
  return ops.add(ops.mul(dy, s), ops.sigmoidGradient(s, ops.mul(dy, x)));
}

/** x -> the same shape. */
export const gelu: NativeKernel<"x"> = (ops, { x }) => [ops.mul(x, normalDistribution(ops, x))];

export const geluGradient: NativeKernel<"x" | "dy"> = (ops, { x, dy }) => [ops.mul(dy, geluSlope(ops, x))];

/** x [..., 2 C] -> [..., C]: the first half times the GELU of the second. */
export const geglu: NativeKernel<"x"> = (ops, { x }) => {
  const [value, gate] = ops.halves(x);
  return [ops.mul(value, ops.mul(gate, normalDistribution(ops, gate)))];
};

export const gegluGradient: NativeKernel<"x" | "dy"> = (ops, { x, dy }) => {
  const [value, gate] = ops.halves(x);
  const phi = normalDistribution(ops, gate);
  const dValue = ops.mul(dy, ops.mul(gate, phi));
  return [ops.concat([dValue, ops.mul(ops.mul(dy, value), geluSlope(ops, gate, phi))], x.shape.length - 1)];
};

/** Phi(x) = (1 + erf(x / sqrt 2)) / 2. */
function normalDistribution(ops: RawOps, x: Raw): Raw {
  const half = ops.scalar(0.5);
  return ops.add(ops.mul(ops.erf(ops.mul(x, ops.scalar(Math.SQRT1_2))), half), half);
}

/** Phi(x) + x phi(x), phi the density exp(-x^2 / 2) / sqrt(2 pi). */
function geluSlope(ops: RawOps, x: Raw, phi = normalDistribution(ops, x)): Raw {
  const bell = ops.exp(ops.mul(ops.square(x), ops.scalar(-0.5)));
  return ops.add(ops.mul(x, ops.mul(bell, ops.scalar(1 / Math.sqrt(2 * Math.PI)))), phi);
}
