// The optimiser's arithmetic on a vector of parameters, in one pass.
import { loadLanes, storeLanes } from "./lib/lanes";

/**
 * AdamW for `count` numbers, in the order of operations of `AdamW.update`: with m, v the moments, g the gradient,
 * m = m + (g - m) fresh1 and v = v keep2 + g^2 fresh2 in place, newP = p keep - m / (sqrt(v) + eps) rate.
 */
export function adamW(
  p: usize,
  m: usize,
  v: usize,
  g: usize,
  count: i32,
  keep: f32,
  fresh1: f32,
  keep2: f32,
  fresh2: f32,
  eps: f32,
  rate: f32,
  newP: usize,
): void {
  for (; count > 0; count -= 4) {
    const slope = loadLanes(g, count);
    const before = loadLanes(m, count);
    const moment1 = f32x4.add(before, f32x4.mul(f32x4.sub(slope, before), f32x4.splat(fresh1)));
    const square = f32x4.mul(f32x4.mul(slope, slope), f32x4.splat(fresh2));
    const moment2 = f32x4.add(f32x4.mul(loadLanes(v, count), f32x4.splat(keep2)), square);
    const step = f32x4.div(moment1, f32x4.add(f32x4.sqrt(moment2), f32x4.splat(eps)));
    const kept = f32x4.mul(loadLanes(p, count), f32x4.splat(keep));
    storeLanes(m, moment1, count);
    storeLanes(v, moment2, count);
    storeLanes(newP, f32x4.sub(kept, f32x4.mul(step, f32x4.splat(rate))), count);
    p += 16;
    m += 16;
    v += 16;
    g += 16;
    newP += 16;
  }
}

/** result = average + (value - average) fresh. */
export function movingAverage(average: usize, value: usize, count: i32, fresh: f32, result: usize): void {
  for (; count > 0; count -= 4) {
    const before = loadLanes(average, count);
    const change = f32x4.mul(f32x4.sub(loadLanes(value, count), before), f32x4.splat(fresh));
    storeLanes(result, f32x4.add(before, change), count);
    average += 16;
    value += 16;
    result += 16;
  }
}
