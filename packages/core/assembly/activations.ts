// SiLU, GELU and gated GELU, elementwise, with their gradients.
import { errorFunction } from "./lib/error-function";
import { exponential } from "./lib/exponential";
import { loadLanes, storeLanes } from "./lib/lanes";
import { sigmoid, siluSlope } from "./lib/sigmoid";

const FLOAT: usize = 4;

/** Standard normal distribution function. */
function phi(x: v128): v128 {
  const e = errorFunction(f32x4.mul(x, f32x4.splat(0.7071067811865476)));
  return f32x4.mul(f32x4.add(e, f32x4.splat(1)), f32x4.splat(0.5));
}

/** d/dx of x phi(x), given phi(x). */
function geluSlope(x: v128, phi: v128): v128 {
  const density = exponential(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.5)));
  return f32x4.add(phi, f32x4.mul(f32x4.mul(x, density), f32x4.splat(0.3989422804014327)));
}

/** y = x sigmoid(x), for `count` numbers. */
export function silu(x: usize, count: i32, y: usize): void {
  for (; count > 0; count -= 4) {
    const value = loadLanes(x, count);
    storeLanes(y, f32x4.mul(value, sigmoid(value)), count);
    x += 16;
    y += 16;
  }
}

export function siluGradient(x: usize, dy: usize, count: i32, dx: usize): void {
  for (; count > 0; count -= 4) {
    storeLanes(dx, f32x4.mul(loadLanes(dy, count), siluSlope(loadLanes(x, count))), count);
    x += 16;
    dy += 16;
    dx += 16;
  }
}

/** y = x phi(x), for `count` numbers. */
export function gelu(x: usize, count: i32, y: usize): void {
  for (; count > 0; count -= 4) {
    const value = loadLanes(x, count);
    storeLanes(y, f32x4.mul(value, phi(value)), count);
    x += 16;
    y += 16;
  }
}

export function geluGradient(x: usize, dy: usize, count: i32, dx: usize): void {
  for (; count > 0; count -= 4) {
    const value = loadLanes(x, count);
    storeLanes(dx, f32x4.mul(loadLanes(dy, count), geluSlope(value, phi(value))), count);
    x += 16;
    dy += 16;
    dx += 16;
  }
}

/** y[r, i] = x[r, i] gelu(x[r, features + i]): x [rows, 2 features], y [rows, features]. */
export function geglu(x: usize, rows: i32, features: i32, y: usize): void {
  const half = <usize>features * FLOAT;
  for (let row = 0; row < rows; row++) {
    for (let left = features, at: usize = 0; left > 0; left -= 4, at += 16) {
      const gate = loadLanes(x + half + at, left);
      storeLanes(y + at, f32x4.mul(loadLanes(x + at, left), f32x4.mul(gate, phi(gate))), left);
    }
    x += 2 * half;
    y += half;
  }
}

/** dy [rows, features] -> dx [rows, 2 features]. */
export function gegluGradient(x: usize, dy: usize, rows: i32, features: i32, dx: usize): void {
  const half = <usize>features * FLOAT;
  for (let row = 0; row < rows; row++) {
    for (let left = features, at: usize = 0; left > 0; left -= 4, at += 16) {
      const gate = loadLanes(x + half + at, left);
      const d = loadLanes(dy + at, left);
      const share = phi(gate);
      storeLanes(dx + at, f32x4.mul(d, f32x4.mul(gate, share)), left);
      const slope = f32x4.mul(loadLanes(x + at, left), geluSlope(gate, share));
      storeLanes(dx + half + at, f32x4.mul(d, slope), left);
    }
    x += 2 * half;
    dx += 2 * half;
    dy += half;
  }
}
