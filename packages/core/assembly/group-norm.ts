// Group normalisation, optionally with SiLU after it: each sample's channels in groups, to mean 0 and variance 1 over
// space and the group's channels. Two passes for the statistics: one would lose digits where the mean is large.
import { loadLanes, moveSums, paddedBytes, storeLanes } from "./lib/lanes";
import { sigmoid, siluSlope } from "./lib/sigmoid";

const FLOAT: usize = 4;
/** Pixels that are summed apart from the others, which keeps float32's rounding small. */
const RUN: i32 = 128;

/** Bytes of scratch that {@link groupNorm} and {@link groupNormGradient} need. */
export function groupNormScratch(channels: i32): usize {
  return 6 * paddedBytes(channels);
}

/**
 * y = (x - mean) * inverse * w + b, with SiLU if `silu`: x, y [batch, pixels, stride], of which only the first
 * `channels` numbers of each pixel are used; w, b [channels]. Leaves mean and inverse = 1 / sqrt(variance + eps) of
 * each group in statistics [batch, stride / width of a group, 2].
 */
export function groupNorm(
  x: usize,
  batch: i32,
  pixels: i32,
  stride: i32,
  channels: i32,
  groups: i32,
  w: usize,
  b: usize,
  eps: f32,
  silu: bool,
  y: usize,
  statistics: usize,
  scratch: usize,
): void {
  const row = paddedBytes(channels);
  const sums = scratch;
  const means = sums + 2 * row;
  const scales = means + row;
  const width = channels / groups;
  const gap = <usize>(stride - channels) * FLOAT;
  const count: f32 = <f32>width * <f32>pixels;
  for (let z = 0; z < batch; z++) {
    memory.fill(means, 0, row);
    sumDeviations(x, pixels, channels, gap, means, false, sums);
    for (let g = 0; g < groups; g++) {
      const mean = sumOf(sums, g * width, width) / count;
      store<f32>(statistics + <usize>g * 8, mean);
      for (let c = g * width; c < (g + 1) * width; c++) store<f32>(means + <usize>c * FLOAT, mean);
    }
    sumDeviations(x, pixels, channels, gap, means, true, sums);
    for (let g = 0; g < groups; g++) {
      const inverse: f32 = 1 / sqrt<f32>(sumOf(sums, g * width, width) / count + eps);
      store<f32>(statistics + <usize>g * 8, inverse, 4);
      for (let c = g * width; c < (g + 1) * width; c++) {
        store<f32>(scales + <usize>c * FLOAT, inverse * load<f32>(w + <usize>c * FLOAT));
      }
    }
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let left = channels, at: usize = 0; left > 0; left -= 4, at += 16) {
        const deviation = f32x4.sub(loadLanes(x, left), v128.load(means + at));
        let value = f32x4.add(f32x4.mul(deviation, v128.load(scales + at)), loadLanes(b + at, left));
        if (silu) value = f32x4.mul(value, sigmoid(value));
        storeLanes(y, value, left);
        const step = <usize>min(4, left) * FLOAT;
        x += step;
        y += step;
      }
      x += gap;
      y += gap;
    }
    statistics += <usize>(stride / width) * 8;
  }
}

/** sums[c] = sum over the pixels of x - means[c], or of its square. There are `gap` bytes between pixels. */
function sumDeviations(
  x: usize,
  pixels: i32,
  channels: i32,
  gap: usize,
  means: usize,
  squared: bool,
  sums: usize,
): void {
  const row = paddedBytes(channels);
  const part = sums + row;
  memory.fill(sums, 0, 2 * row);
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let left = channels, at: usize = 0; left > 0; left -= 4, at += 16) {
      let term = f32x4.sub(loadLanes(x, left), v128.load(means + at));
      if (squared) term = f32x4.mul(term, term);
      v128.store(part + at, f32x4.add(v128.load(part + at), term));
      x += <usize>min(4, left) * FLOAT;
    }
    x += gap;
    if (pixel % RUN === RUN - 1) moveSums(part, sums, row);
  }
  moveSums(part, sums, row);
}

function sumOf(sums: usize, from: i32, count: i32): f32 {
  let sum: f32 = 0;
  for (let c = from; c < from + count; c++) sum += load<f32>(sums + <usize>c * FLOAT);
  return sum;
}

/**
 * The gradient: with h = (x - mean) * inverse, d = dL/d(h w + b) and E the mean over a group,
 * dx = inverse * (w d - E[w d] - h E[w d h]), dw = sum of d h, db = sum of d.
 */
export function groupNormGradient(
  x: usize,
  dy: usize,
  batch: i32,
  pixels: i32,
  stride: i32,
  channels: i32,
  groups: i32,
  w: usize,
  b: usize,
  silu: bool,
  statistics: usize,
  dx: usize,
  dw: usize,
  db: usize,
  scratch: usize,
): void {
  const row = paddedBytes(channels);
  const shifts = scratch;
  const slopes = shifts + row;
  const sum = slopes + row;
  const projection = sum + row;
  const means = projection + row;
  const inverses = means + row;
  const width = channels / groups;
  const gap = <usize>(stride - channels) * FLOAT;
  const count: f32 = <f32>width * <f32>pixels;
  const picture = <usize>pixels * <usize>stride * FLOAT;
  memory.fill(dw, 0, <usize>channels * FLOAT);
  memory.fill(db, 0, <usize>channels * FLOAT);
  memory.fill(scratch, 0, 6 * row);
  for (let z = 0; z < batch; z++) {
    for (let c = 0; c < channels; c++) {
      const group = statistics + <usize>(c / width) * 8;
      store<f32>(means + <usize>c * FLOAT, load<f32>(group));
      store<f32>(inverses + <usize>c * FLOAT, load<f32>(group, 4));
    }
    memory.fill(shifts, 0, 4 * row);
    // d is left in dx; shifts and slopes hold the sums of the last few pixels.
    let from = x;
    let to = dx;
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let left = channels, at: usize = 0; left > 0; left -= 4, at += 16) {
        const h = f32x4.mul(f32x4.sub(loadLanes(from, left), v128.load(means + at)), v128.load(inverses + at));
        let d = loadLanes(dy, left);
        if (silu)
          d = f32x4.mul(d, siluSlope(f32x4.add(f32x4.mul(h, loadLanes(w + at, left)), loadLanes(b + at, left))));
        storeLanes(to, d, left);
        v128.store(shifts + at, f32x4.add(v128.load(shifts + at), d));
        v128.store(slopes + at, f32x4.add(v128.load(slopes + at), f32x4.mul(d, h)));
        const step = <usize>min(4, left) * FLOAT;
        from += step;
        dy += step;
        to += step;
      }
      from += gap;
      dy += gap;
      to += gap;
      if (pixel % RUN === RUN - 1) moveSums(shifts, sum, 2 * row);
    }
    moveSums(shifts, sum, 2 * row);
    for (let g = 0; g < groups; g++) {
      let mean: f32 = 0;
      let slope: f32 = 0;
      for (let c = <usize>(g * width); c < <usize>((g + 1) * width); c++) {
        const at = c * FLOAT;
        mean += load<f32>(w + at) * load<f32>(sum + at);
        slope += load<f32>(w + at) * load<f32>(projection + at);
        store<f32>(db + at, load<f32>(db + at) + load<f32>(sum + at));
        store<f32>(dw + at, load<f32>(dw + at) + load<f32>(projection + at));
      }
      for (let c = <usize>(g * width); c < <usize>((g + 1) * width); c++) {
        const at = c * FLOAT;
        const inverse = load<f32>(inverses + at);
        store<f32>(shifts + at, (inverse * mean) / count);
        store<f32>(slopes + at, (inverse * inverse * slope) / count);
        store<f32>(inverses + at, inverse * load<f32>(w + at));
      }
    }
    from = x;
    to = dx;
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let left = channels, at: usize = 0; left > 0; left -= 4, at += 16) {
        const deviation = f32x4.sub(loadLanes(from, left), v128.load(means + at));
        const own = f32x4.mul(loadLanes(to, left), v128.load(inverses + at));
        const common = f32x4.add(f32x4.mul(deviation, v128.load(slopes + at)), v128.load(shifts + at));
        storeLanes(to, f32x4.sub(own, common), left);
        const step = <usize>min(4, left) * FLOAT;
        from += step;
        to += step;
      }
      from += gap;
      to += gap;
    }
    x += picture;
    dx += picture;
    statistics += <usize>(stride / width) * 8;
  }
}
