import type { RandomNumbers } from "@tfjs-diffusion/schedulers";

/**
 * Drops conditions for classifier-free guidance (Ho & Salimans 2022, algorithm 1): each condition is replaced by
 * `empty` with the given probability, so that one network learns both the conditional and the unconditional prediction.
 */
export function dropConditions<T>(conditions: readonly T[], empty: T, probability: number, random: RandomNumbers): T[] {
  if (!(probability >= 0 && probability <= 1)) {
    throw new RangeError(`dropConditions: probability is ${probability}; it must be in [0, 1], such as 0.1.`);
  }
  return conditions.map((condition) => (random.uniform() < probability ? empty : condition));
}
