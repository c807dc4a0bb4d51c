import { dot, type FeatureRows, requireRows } from "./feature-rows.js";
import { symmetricEigenvalues } from "./symmetric-eigenvalues.js";

/**
 * Fréchet distance of two Gaussians with the means and covariances of two sets of feature rows (Dowson & Landau 1982,
 * eq. 4). With the features of Inception v3 it is FID (Heusel et al. 2017); other features give other numbers.
 *
 *   |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^(1/2) C2 C1^(1/2))^(1/2))
 *
 * Small sets increase it: compare sets of equal size, and also report the distance between two halves of the real
 * pictures.
 *
 * @param rows at least two rows, and at least as many as features for a meaningful number
 * @throws RangeError for fewer than two rows, rows of different widths and numbers that are not finite
 */
export function frechetDistance(rows: FeatureRows, others: FeatureRows): number {
  requireRows("frechetDistance", { rows, others }, 2);
  const [a, b] = [gaussian(rows), gaussian(others)];
  // With C1 = L L', the matrix L' C2 L has the eigenvalues of C1 C2.
  const factor = semidefiniteCholesky(a.covariance);
  const moved = factor.map((column) => b.covariance.map((row) => dot(row, column)));
  const product = factor.map((column) => moved.map((other) => dot(column, other)));
  const traceOfRoot = symmetricEigenvalues(product).reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
  const shift = a.mean.reduce((sum, value, i) => sum + (value - b.mean[i]!) ** 2, 0);
  return Math.max(0, shift + trace(a.covariance) + trace(b.covariance) - 2 * traceOfRoot);
}

const trace = (matrix: readonly Float64Array[]) => matrix.reduce((sum, row, i) => sum + row[i]!, 0);

/** Mean, and covariance with n - 1 as divisor. */
function gaussian(rows: FeatureRows): { mean: Float64Array; covariance: Float64Array[] } {
  const width = rows[0]!.length;
  const columns = Array.from({ length: width }, (_, i) => Float64Array.from(rows, (row) => row[i]!));
  const mean = Float64Array.from(columns, (column) => column.reduce((sum, value) => sum + value, 0) / rows.length);
  columns.forEach((column, i) => column.forEach((value, k) => (column[k] = value - mean[i]!)));
  const covariance = columns.map(() => new Float64Array(width));
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) {
      const value = dot(columns[i]!, columns[j]!) / (rows.length - 1);
      covariance[i]![j] = value;
      covariance[j]![i] = value;
    }
  }
  return { mean, covariance };
}

/**
 * The columns of an L with L L' = C, for a C that may have eigenvalues of 0: the largest remaining pivot comes first,
 * and the rest at the end is rounding error (Higham 1990).
 */
function semidefiniteCholesky(matrix: readonly Float64Array[]): Float64Array[] {
  const n = matrix.length;
  const rest = Float64Array.from(matrix, (row, i) => row[i]!);
  const least = n * Number.EPSILON * Math.max(...rest);
  const columns: Float64Array[] = [];
  while (columns.length < n) {
    const pivot = rest.indexOf(Math.max(...rest));
    if (!(rest[pivot]! > least)) break;
    const root = Math.sqrt(rest[pivot]!);
    const column = Float64Array.from(matrix, (row) => row[pivot]!);
    for (const earlier of columns) for (let i = 0; i < n; i++) column[i]! -= earlier[pivot]! * earlier[i]!;
    for (let i = 0; i < n; i++) {
      column[i]! /= root;
      rest[i] = i === pivot ? -Infinity : rest[i]! - column[i]! ** 2;
    }
    columns.push(column);
  }
  return columns;
}
