// Layer normalisation: each row to mean 0 and variance 1, then scaled and shifted. Two passes for the statistics.
import { loadLanes, moveSums, paddedBytes, storeLanes, sumLanes } from "./lib/lanes";

const FLOAT: usize = 4;
/** Rows whose gradients are summed apart from the others, which keeps float32's rounding small. */
const RUN: i32 = 128;

/** y = (x - mean) * inverse * w + b for each of `rows` rows; statistics [rows, 2] gets mean and inverse. */
export function layerNorm(
  x: usize,
  rows: i32,
  features: i32,
  w: usize,
  b: usize,
  eps: f32,
  y: usize,
  statistics: usize,
): void {
  const row = <usize>features * FLOAT;
  for (let r = 0; r < rows; r++) {
    const mean = sumDeviations(x, features, 0, false) / <f32>features;
    const inverse: f32 = 1 / sqrt<f32>(sumDeviations(x, features, mean, true) / <f32>features + eps);
    for (let left = features, at: usize = 0; left > 0; left -= 4, at += 16) {
      const h = f32x4.mul(f32x4.sub(loadLanes(x + at, left), f32x4.splat(mean)), f32x4.splat(inverse));
      storeLanes(y + at, f32x4.add(f32x4.mul(h, loadLanes(w + at, left)), loadLanes(b + at, left)), left);
    }
    store<f32>(statistics, mean);
    store<f32>(statistics, inverse, 4);
    statistics += 8;
    x += row;
    y += row;
  }
}

/** Sum of x - mean, or of its square. */
function sumDeviations(x: usize, count: i32, mean: f32, squared: bool): f32 {
  let sum = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    let term = f32x4.sub(v128.load(x + <usize>i * FLOAT), f32x4.splat(mean));
    if (squared) term = f32x4.mul(term, term);
    sum = f32x4.add(sum, term);
  }
  let total = sumLanes(sum);
  for (; i < count; i++) {
    const term = load<f32>(x + <usize>i * FLOAT) - mean;
    total += squared ? term * term : term;
  }
  return total;
}

/** Bytes of scratch that {@link layerNormGradient} needs. */
export function layerNormScratch(features: i32): usize {
  return 4 * paddedBytes(features);
}

/**
 * dx = inverse * (w d - E[w d] - h E[w d h]), h = (x - mean) * inverse, E the mean of a row; dw = sum of d h, db = sum
 * of d.
 */
export function layerNormGradient(
  x: usize,
  dy: usize,
  rows: i32,
  features: i32,
  w: usize,
  statistics: usize,
  dx: usize,
  dw: usize,
  db: usize,
  scratch: usize,
): void {
  const row = <usize>features * FLOAT;
  const padded = paddedBytes(features);
  const slopes = scratch + padded;
  const sums = slopes + padded;
  memory.fill(scratch, 0, 4 * padded);
  for (let r = 0; r < rows; r++) {
    const mean = f32x4.splat(load<f32>(statistics));
    const inverse = f32x4.splat(load<f32>(statistics, 4));
    let sum = f32x4.splat(0);
    let projection = sum;
    for (let left = features, at: usize = 0; left > 0; left -= 4, at += 16) {
      const h = f32x4.mul(f32x4.sub(loadLanes(x + at, left), mean), inverse);
      const d = loadLanes(dy + at, left);
      const wd = f32x4.mul(d, loadLanes(w + at, left));
      const dh = f32x4.mul(d, h);
      sum = f32x4.add(sum, wd);
      projection = f32x4.add(projection, f32x4.mul(wd, h));
      v128.store(scratch + at, f32x4.add(v128.load(scratch + at), d));
      v128.store(slopes + at, f32x4.add(v128.load(slopes + at), dh));
    }
    const shift = f32x4.splat(sumLanes(sum) / <f32>features);
    const slope = f32x4.splat(sumLanes(projection) / <f32>features);
    for (let left = features, at: usize = 0; left > 0; left -= 4, at += 16) {
      const h = f32x4.mul(f32x4.sub(loadLanes(x + at, left), mean), inverse);
      const wd = f32x4.mul(loadLanes(dy + at, left), loadLanes(w + at, left));
      const common = f32x4.add(f32x4.mul(h, slope), shift);
      storeLanes(dx + at, f32x4.mul(f32x4.sub(wd, common), inverse), left);
    }
    if (r % RUN === RUN - 1) moveSums(scratch, sums, 2 * padded);
    statistics += 8;
    x += row;
    dy += row;
    dx += row;
  }
  moveSums(scratch, sums, 2 * padded);
  memory.copy(db, sums, row);
  memory.copy(dw, sums + padded, row);
}
