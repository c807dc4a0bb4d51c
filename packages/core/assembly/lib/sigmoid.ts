import { exponential } from "./exponential";

/** 1 / (1 + exp(-x)). Only negative numbers are given to exp, so that nothing overflows. */
export function sigmoid(x: v128): v128 {
  const e = exponential(f32x4.neg(f32x4.abs(x)));
  const top = v128.bitselect(e, f32x4.splat(1), f32x4.lt(x, f32x4.splat(0)));
  return f32x4.div(top, f32x4.add(f32x4.splat(1), e));
}

/** d/dx of x sigmoid(x). */
export function siluSlope(x: v128): v128 {
  const s = sigmoid(x);
  const rest = f32x4.mul(x, f32x4.sub(f32x4.splat(1), s));
  return f32x4.mul(s, f32x4.add(f32x4.splat(1), rest));
}
