/**
 * Eigenvalues of a real symmetric matrix, unsorted: Householder's reduction to tridiagonal form (Golub & Van Loan 2013,
 * algorithm 8.3.1), then QL steps with implicit shifts (EISPACK's imtql1). Takes about 4/3 n^3 multiplications.
 *
 * @param matrix [n][n]; only the lower triangle is read
 */
export function symmetricEigenvalues(matrix: readonly ArrayLike<number>[]): Float64Array {
  const { diagonal, offDiagonal } = tridiagonal(matrix);
  const n = diagonal.length;
  for (let l = 0; l < n; l++) {
    for (let m = firstGap(diagonal, offDiagonal, l); m !== l; m = firstGap(diagonal, offDiagonal, l)) {
      qlStep(diagonal, offDiagonal, l, m);
    }
  }
  return diagonal;
}

/** Householder reflections give a tridiagonal matrix with the same eigenvalues. */
function tridiagonal(matrix: readonly ArrayLike<number>[]): { diagonal: Float64Array; offDiagonal: Float64Array } {
  const n = matrix.length;
  const a = matrix.map((row) => Float64Array.from(row));
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) a[i]![j] = a[j]![i]!;
  const offDiagonal = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    const v = Float64Array.from({ length: n }, (_, i) => (i > k ? a[i]![k]! : 0));
    const alpha = -Math.sign(v[k + 1]! || 1) * Math.hypot(...v);
    offDiagonal[k] = alpha;
    v[k + 1]! -= alpha;
    const square = v.reduce((sum, value) => sum + value * value, 0);
    if (square === 0) continue;
    // A - v w' - w v' is the matrix reflected from both sides.
    const p = a.map((row) => (2 / square) * row.reduce((sum, value, j) => sum + value * v[j]!, 0));
    const half = p.reduce((sum, value, j) => sum + value * v[j]!, 0) / square;
    const w = p.map((value, i) => value - half * v[i]!);
    for (let i = k + 1; i < n; i++) {
      for (let j = k + 1; j < n; j++) a[i]![j]! -= v[i]! * w[j]! + w[i]! * v[j]!;
    }
  }
  return { diagonal: Float64Array.from(a, (row, i) => row[i]!), offDiagonal };
}

/** The first position from l on whose off-diagonal number is negligible next to its neighbours. */
function firstGap(diagonal: Float64Array, offDiagonal: Float64Array, l: number): number {
  let m = l;
  while (m < diagonal.length - 1) {
    const size = Math.abs(diagonal[m]!) + Math.abs(diagonal[m + 1]!);
    if (Math.abs(offDiagonal[m]!) <= Number.EPSILON * size || offDiagonal[m] === 0) break;
    m++;
  }
  return m;
}

/** One QL step with Wilkinson's shift on the block from l to m, in place. */
function qlStep(d: Float64Array, e: Float64Array, l: number, m: number): void {
  const ratio = (d[l + 1]! - d[l]!) / (2 * e[l]!);
  let g = d[m]! - d[l]! + e[l]! / (ratio + (ratio < 0 ? -1 : 1) * Math.hypot(ratio, 1));
  let [sine, cosine, moved] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const [f, b] = [sine * e[i]!, cosine * e[i]!];
    const length = Math.hypot(f, g);
    e[i + 1] = length;
    if (length === 0) {
      d[i + 1]! -= moved;
      e[m] = 0;
      return;
    }
    [sine, cosine] = [f / length, g / length];
    g = d[i + 1]! - moved;
    const r = (d[i]! - g) * sine + 2 * cosine * b;
    moved = sine * r;
    d[i + 1] = g + moved;
    g = cosine * r - b;
  }
  d[l]! -= moved;
  e[l] = g;
  e[m] = 0;
}
