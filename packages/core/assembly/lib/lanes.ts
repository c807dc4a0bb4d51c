// Reads and writes numbers four at a time, for counts that are not multiples of four.

const FLOAT: usize = 4;

/** The numbers at `at`, of which `count` are left: 4, or fewer and zeros after them. */
export function loadLanes(at: usize, count: i32): v128 {
  if (count >= 4) return v128.load(at);
  let lanes = f32x4.replace_lane(f32x4.splat(0), 0, load<f32>(at));
  if (count > 1) lanes = f32x4.replace_lane(lanes, 1, load<f32>(at + FLOAT));
  if (count > 2) lanes = f32x4.replace_lane(lanes, 2, load<f32>(at + 2 * FLOAT));
  return lanes;
}

/** Stores the first `count` lanes, at most 4. */
export function storeLanes(at: usize, lanes: v128, count: i32): void {
  if (count >= 4) {
    v128.store(at, lanes);
    return;
  }
  store<f32>(at, f32x4.extract_lane(lanes, 0));
  if (count > 1) store<f32>(at + FLOAT, f32x4.extract_lane(lanes, 1));
  if (count > 2) store<f32>(at + 2 * FLOAT, f32x4.extract_lane(lanes, 2));
}

/** The sum of the four lanes. */
export function sumLanes(lanes: v128): f32 {
  const pairs = f32x4.add(lanes, i64x2.shuffle(lanes, lanes, 1, 0));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** Bytes of `count` numbers, rounded up to whole vectors. */
export function paddedBytes(count: i32): usize {
  return <usize>((count + 3) & ~3) * FLOAT;
}

/** to[i] += from[i], to and from padded to whole vectors; then from is 0. Sums of many terms are kept in two levels. */
export function moveSums(from: usize, to: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)));
    v128.store(from + at, f32x4.splat(0));
  }
}
