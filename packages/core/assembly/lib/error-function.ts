/**
 * x P(x^2) / Q(x^2), a rational fit for |x| <= 4, where erf is 1 to float32's last digit: the fit of Eigen and so of
 * TensorFlow's native kernel (Eigen 3.3, generic_fast_erf_float). Its relative error is below 3.2e-7 everywhere.
 */
export function errorFunction(x: v128): v128 {
  const four = f32x4.splat(4);
  const size = f32x4.max(f32x4.neg(four), f32x4.min(four, x));
  const square = f32x4.mul(size, size);

  let top = f32x4.splat(-2.72614225801306e-10);
  top = add(f32x4.mul(top, square), 2.77068142495902e-8);
  top = add(f32x4.mul(top, square), -2.10102402082508e-6);
  top = add(f32x4.mul(top, square), -5.69250639462346e-5);
  top = add(f32x4.mul(top, square), -7.34990630326855e-4);
  top = add(f32x4.mul(top, square), -2.9545998085402e-3);
  top = add(f32x4.mul(top, square), -1.60960333262415e-2);

  let bottom = f32x4.splat(-1.45660718464996e-5);
  bottom = add(f32x4.mul(bottom, square), -2.13374055278905e-4);
  bottom = add(f32x4.mul(bottom, square), -1.68282697438203e-3);
  bottom = add(f32x4.mul(bottom, square), -7.37332916720468e-3);
  bottom = add(f32x4.mul(bottom, square), -1.42647390514189e-2);
  const value = f32x4.div(f32x4.mul(size, top), bottom);
  return f32x4.max(f32x4.splat(-1), f32x4.min(f32x4.splat(1), value));
}

function add(a: v128, b: f32): v128 {
  return f32x4.add(a, f32x4.splat(b));
}
