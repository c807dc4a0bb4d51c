// The error function, elementwise.
import { errorFunction } from "./lib/error-function";

/** output[i] = erf(input[i]), within 4e-7 of its size, for `count` numbers. */
export function erf(input: usize, count: i32, output: usize): void {
  const end = <usize>count * 4;
  const fours = end & ~15;
  let at: usize = 0;
  for (; at < fours; at += 16) v128.store(output + at, errorFunction(v128.load(input + at)));
  for (; at < end; at += 4) {
    store<f32>(output + at, f32x4.extract_lane(errorFunction(f32x4.splat(load<f32>(input + at))), 0));
  }
}
