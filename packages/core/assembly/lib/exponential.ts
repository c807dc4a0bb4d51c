/**
 * exp(x) for x <= 0, within 2 units in the last place; 0 below -87.3, where float32's normal numbers end.
 * exp(x) = 2^n exp(r), r = x - n log 2, |r| <= log(2) / 2, exp(r) by its Taylor polynomial of degree 7
 * (the next term is below 6e-9). NaN stays NaN.
 */
export function exponential(x: v128): v128 {
  // The sum of a number and 3 * 2^22 is rounded to a whole number, which is then in its last bits.
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504088896341)), f32x4.splat(12582912));
  const n = f32x4.sub(shifted, f32x4.splat(12582912));
  // log 2 in two parts, the first with so few digits that n times it is exact (Cody & Waite).
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let y = f32x4.splat(1.0 / 5040);
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.0 / 720));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.0 / 120));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.0 / 24));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.0 / 6));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.5));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(shifted, i32x4.splat(127)), 23);
  const value = f32x4.mul(y, power);
  return v128.andnot(value, f32x4.lt(x, f32x4.splat(-87.3)));
}
