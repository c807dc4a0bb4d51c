import { EigenvalueDecomposition, Matrix } from "ml-matrix";

/**
 * Fréchet distance of two Gaussians with the means and covariances of two sets of feature rows (Dowson & Landau 1982,
 * eq. 4; Heusel et al. 2017 use it with another network's features):
 *
 *   |m1 - m2|² + tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½)
 *
 * @param rows at least two rows of features each, of the same width
 */
export function frechetDistance(rows: readonly ArrayLike<number>[], others: readonly ArrayLike<number>[]): number {
  const [a, b] = [gaussian(rows), gaussian(others)];
  const root = symmetricRoot(a.covariance);
  const cross = new EigenvalueDecomposition(root.mmul(b.covariance).mmul(root), { assumeSymmetric: true });
  const traceOfRoot = cross.realEigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
  const shift = a.mean.reduce((sum, value, i) => sum + (value - b.mean[i]!) ** 2, 0);
  return Math.max(0, shift + a.covariance.trace() + b.covariance.trace() - 2 * traceOfRoot);
}

function gaussian(rows: readonly ArrayLike<number>[]): { mean: number[]; covariance: Matrix } {
  const matrix = new Matrix(rows.map((row) => Array.from(row)));
  const mean = matrix.mean("column");
  const centred = matrix.subRowVector(mean);
  return {
    mean,
    covariance: centred
      .transpose()
      .mmul(centred)
      .div(rows.length - 1),
  };
}

/** The symmetric square root of a positive semidefinite matrix. */
function symmetricRoot(matrix: Matrix): Matrix {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  const roots = Matrix.diag(realEigenvalues.map((value) => Math.sqrt(Math.max(0, value))));
  return eigenvectorMatrix.mmul(roots).mmul(eigenvectorMatrix.transpose());
}
