import type * as tf from "@tensorflow/tfjs";
import { type Sum, sum } from "../combine.js";

/** Weights of the last slopes, newest first, for even steps (Adams & Bashforth 1883; Liu et al. 2022, eq. 12). */
const WEIGHTS = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]];

/** The mean slope over the next step, from one to four last slopes. */
export function adamsBashforth(slopes: readonly tf.Tensor[]): Sum {
  const weights = WEIGHTS[Math.min(slopes.length, 4) - 1]!;
  return sum(...weights.map((weight, k) => [weight, slopes[k]!] as const));
}
