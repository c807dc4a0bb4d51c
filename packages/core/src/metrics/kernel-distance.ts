import { dot, type FeatureRows, requireRows } from "./feature-rows.js";

/**
 * Squared maximum mean discrepancy of two sets of feature rows with the kernel (x . y / D + 1)^3, unbiased (Gretton et
 * al. 2012, eq. 3; Bińkowski et al. 2018, section 3.1, which calls it KID for the features of Inception):
 *
 *   mean over i != j of k(x_i, x_j) + mean over i != j of k(y_i, y_j) - 2 mean over i, j of k(x_i, y_j)
 *
 * Its expectation is 0 for two sets from the same distribution, whatever their sizes, so a single value may be
 * negative.
 *
 * @throws RangeError for fewer than two rows, rows of different widths and numbers that are not finite
 */
export function kernelDistance(rows: FeatureRows, others: FeatureRows): number {
  requireRows("kernelDistance", { rows, others }, 2);
  return within(rows) + within(others) - 2 * between(rows, others);
}

const kernel = (x: ArrayLike<number>, y: ArrayLike<number>) => (dot(x, y) / x.length + 1) ** 3;

/** Mean over pairs of different rows. */
function within(rows: FeatureRows): number {
  let sum = 0;
  for (let i = 0; i < rows.length; i++) for (let j = 0; j < i; j++) sum += kernel(rows[i]!, rows[j]!);
  return (2 * sum) / (rows.length * (rows.length - 1));
}

function between(rows: FeatureRows, others: FeatureRows): number {
  let sum = 0;
  for (const row of rows) for (const other of others) sum += kernel(row, other);
  return sum / (rows.length * others.length);
}
