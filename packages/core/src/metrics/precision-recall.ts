import { type FeatureRows, requireRows, squaredDistance } from "./feature-rows.js";

/** Both from 0 to 1. */
export interface PrecisionRecall {
  /** Share of the drawn pictures that look like real ones: fidelity. */
  readonly precision: number;
  /** Share of the real pictures that the drawn ones reach: variety. */
  readonly recall: number;
}

/**
 * Precision and recall of drawn pictures (Kynkäänniemi et al. 2019, eqs. 1 and 2): a row belongs to a set if, for one
 * of the set's rows, it is no further away than that row's k-th neighbour in the set.
 *
 * @param drawn feature rows, more than k
 * @param real feature rows, more than k; as many as drawn ones, to make the two numbers comparable
 * @param k 3 as in the paper
 * @throws RangeError for too few rows, rows of different widths and numbers that are not finite
 */
export function precisionRecall(drawn: FeatureRows, real: FeatureRows, k = 3): PrecisionRecall {
  if (!(Number.isInteger(k) && k > 0))
    throw new RangeError(`precisionRecall: k is ${k}; give a whole number, 1 or more.`);
  requireRows("precisionRecall", { drawn, real }, k + 1);
  return { precision: shareWithin(drawn, real, k), recall: shareWithin(real, drawn, k) };
}

function shareWithin(rows: FeatureRows, set: FeatureRows, k: number): number {
  const radii = set.map((row, i) => {
    const distances = Float64Array.from(set, (other, j) => (i === j ? Infinity : squaredDistance(row, other)));
    return distances.sort()[k - 1]!;
  });
  const inside = rows.filter((row) => set.some((other, j) => squaredDistance(row, other) <= radii[j]!));
  return inside.length / rows.length;
}
