// The error function, elementwise: the heart of GELU.
import { exponential } from "./exponential";

/** output[i] = erf(input[i]), within 3e-7, for `count` numbers. */
export function erf(input: usize, count: i32, output: usize): void {
  const end = <usize>count * 4;
  const fours = end & ~15;
  let at: usize = 0;
  for (; at < fours; at += 16) v128.store(output + at, errorFunction(v128.load(input + at)));
  for (; at < end; at += 4) {
    store<f32>(output + at, f32x4.extract_lane(errorFunction(f32x4.splat(load<f32>(input + at))), 0));
  }
}

/**
 * Near 0 its Taylor series up to x^13, which keeps small results to their last digits; from |x| = 1/2 on, 1 - erfc(|x|)
 * by the Chebyshev fit of Press et al., Numerical Recipes (2nd ed.), section 6.2, with the sign of x.
 */
export function errorFunction(x: v128): v128 {
  const size = f32x4.abs(x);
  const square = f32x4.mul(x, x);

  let series = f32x4.splat(1.2055332e-4);
  series = add(f32x4.mul(series, square), -8.548327e-4);
  series = add(f32x4.mul(series, square), 5.2239776e-3);
  series = add(f32x4.mul(series, square), -2.686617e-2);
  series = add(f32x4.mul(series, square), 1.1283792e-1);
  series = add(f32x4.mul(series, square), -3.7612638e-1);
  series = add(f32x4.mul(series, square), 1.1283792);
  const near = f32x4.mul(series, x);

  const t = f32x4.div(f32x4.splat(1), add(f32x4.mul(size, f32x4.splat(0.5)), 1));
  let fit = f32x4.splat(0.17087277);
  fit = add(f32x4.mul(fit, t), -0.82215223);
  fit = add(f32x4.mul(fit, t), 1.48851587);
  fit = add(f32x4.mul(fit, t), -1.13520398);
  fit = add(f32x4.mul(fit, t), 0.27886807);
  fit = add(f32x4.mul(fit, t), -0.18628806);
  fit = add(f32x4.mul(fit, t), 0.09678418);
  fit = add(f32x4.mul(fit, t), 0.37409196);
  fit = add(f32x4.mul(fit, t), 1.00002368);
  fit = add(f32x4.mul(fit, t), -1.26551223);
  const complement = f32x4.mul(t, exponential(f32x4.sub(fit, square)));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  const far = v128.or(f32x4.sub(f32x4.splat(1), complement), sign);

  return v128.bitselect(near, far, f32x4.lt(size, f32x4.splat(0.5)));
}

function add(a: v128, b: f32): v128 {
  return f32x4.add(a, f32x4.splat(b));
}
