// Sums and softmax over neighbouring numbers.
import { exponential } from "./lib/exponential";

const FLOAT: usize = 4;

/**
 * output[o, i] = scale * sum over r < count of input[o, r, i], o < outer, i < inner; all dense.
 * Every 128 terms are summed apart from the others, which keeps float32's rounding small in long sums.
 */
export function sumOver(input: usize, outer: i32, count: i32, inner: i32, scale: f32, output: usize): void {
  if (inner === 1) {
    for (let o = 0; o < outer; o++) {
      store<f32>(output, scale * sumRow(input, count));
      input += <usize>count * FLOAT;
      output += FLOAT;
    }
    return;
  }
  const row = <usize>inner * FLOAT;
  for (let o = 0; o < outer; o++) {
    memory.fill(output, 0, row);
    let i = 0;
    for (; i + 16 <= inner; i += 16) sumLine(input + <usize>i * FLOAT, row, count, scale, output + <usize>i * FLOAT);
    for (; i + 4 <= inner; i += 4) {
      let at = input + <usize>i * FLOAT;
      let sum = f32x4.splat(0);
      for (let r = 0; r < count; r += 128) {
        let part = f32x4.splat(0);
        for (let end = at + <usize>min(128, count - r) * row; at < end; at += row)
          part = f32x4.add(part, v128.load(at));
        sum = f32x4.add(sum, part);
      }
      v128.store(output + <usize>i * FLOAT, f32x4.mul(sum, f32x4.splat(scale)));
    }
    for (; i < inner; i++) {
      let at = input + <usize>i * FLOAT;
      let sum: f32 = 0;
      for (let r = 0; r < count; r += 128) {
        let part: f32 = 0;
        for (let end = at + <usize>min(128, count - r) * row; at < end; at += row) part += load<f32>(at);
        sum += part;
      }
      store<f32>(output + <usize>i * FLOAT, scale * sum);
    }
    input += <usize>count * row;
    output += row;
  }
}

/** The sums of 16 neighbouring columns, a line of the cache: each line is read once. Rows begin `row` bytes apart. */
function sumLine(at: usize, row: usize, count: i32, scale: f32, output: usize): void {
  const none = f32x4.splat(0);
  let sum0 = none;
  let sum1 = none;
  let sum2 = none;
  let sum3 = none;
  for (let r = 0; r < count; r += 128) {
    let part0 = none;
    let part1 = none;
    let part2 = none;
    let part3 = none;
    for (let end = at + <usize>min(128, count - r) * row; at < end; at += row) {
      part0 = f32x4.add(part0, v128.load(at));
      part1 = f32x4.add(part1, v128.load(at, 16));
      part2 = f32x4.add(part2, v128.load(at, 32));
      part3 = f32x4.add(part3, v128.load(at, 48));
    }
    sum0 = f32x4.add(sum0, part0);
    sum1 = f32x4.add(sum1, part1);
    sum2 = f32x4.add(sum2, part2);
    sum3 = f32x4.add(sum3, part3);
  }
  const scales = f32x4.splat(scale);
  v128.store(output, f32x4.mul(sum0, scales));
  v128.store(output, f32x4.mul(sum1, scales), 16);
  v128.store(output, f32x4.mul(sum2, scales), 32);
  v128.store(output, f32x4.mul(sum3, scales), 48);
}

function sumRow(at: usize, count: i32): f32 {
  let sum: f32 = 0;
  const end = at + <usize>count * FLOAT;
  while (at + 16 <= end) {
    let lanes = f32x4.splat(0);
    const stop = min(at + 512, end) - 15;
    for (; at < stop; at += 16) lanes = f32x4.add(lanes, v128.load(at));
    sum += f32x4.extract_lane(lanes, 0) + f32x4.extract_lane(lanes, 1);
    sum += f32x4.extract_lane(lanes, 2) + f32x4.extract_lane(lanes, 3);
  }
  for (; at < end; at += FLOAT) sum += load<f32>(at);
  return sum;
}

/** output[r] = exp(input[r] - max) / sum of these, for each of `rows` rows of `count` numbers. */
export function softmax(input: usize, rows: i32, count: i32, output: usize): void {
  const row = <usize>count * FLOAT;
  const fours = row & ~15;
  for (let r = 0; r < rows; r++) {
    const largest = largestOf(input, count);
    const shift = f32x4.splat(largest);
    let at: usize = 0;
    for (; at < fours; at += 16) v128.store(output + at, exponential(f32x4.sub(v128.load(input + at), shift)));
    for (; at < row; at += FLOAT) {
      const value = exponential(f32x4.splat(load<f32>(input + at) - largest));
      store<f32>(output + at, f32x4.extract_lane(value, 0));
    }
    const inverse: f32 = 1 / sumRow(output, count);
    for (at = 0; at < fours; at += 16) {
      v128.store(output + at, f32x4.mul(v128.load(output + at), f32x4.splat(inverse)));
    }
    for (; at < row; at += FLOAT) store<f32>(output + at, load<f32>(output + at) * inverse);
    input += row;
    output += row;
  }
}

function largestOf(at: usize, count: i32): f32 {
  let largest = load<f32>(at);
  const end = at + <usize>count * FLOAT;
  if (count >= 4) {
    let lanes = v128.load(at);
    // pmax is twice as fast as max. Where it misses a NaN, the sum of the row still finds it.
    for (; at + 16 <= end; at += 16) lanes = f32x4.pmax(lanes, v128.load(at));
    lanes = f32x4.pmax(lanes, i64x2.shuffle(lanes, lanes, 1, 0));
    lanes = f32x4.pmax(lanes, i32x4.shuffle(lanes, lanes, 1, 0, 3, 2));
    largest = f32x4.extract_lane(lanes, 0);
  }
  for (; at < end; at += FLOAT) largest = max(largest, load<f32>(at));
  return largest;
}
