/**
 * Integrals of the Lagrange polynomials of `nodes`: weight k is the integral of the polynomial that is 1 at node k and
 * 0 at the others, given the integrals of u^0, u^1, ... over the same interval. Adams-type methods weight slopes with
 * them.
 */
export function lagrangeIntegrals(nodes: readonly number[], moments: readonly number[]): number[] {
  return nodes.map((node, k) => {
    const others = nodes.filter((_, j) => j !== k);
    const scale = others.reduce((product, other) => product * (node - other), 1);
    return (
      polynomialWithRoots(others).reduce((sum, coefficient, power) => sum + coefficient * moments[power]!, 0) / scale
    );
  });
}

/** Integrals of u^j e^(rate u) from 0 to `length`, for j = 0 to count - 1. */
export function exponentialMoments(count: number, length: number, rate: number): number[] {
  const moments: number[] = [];
  for (let j = 0; j < count; j++) {
    moments.push(
      j === 0 ? Math.expm1(rate * length) / rate : (length ** j * Math.exp(rate * length) - j * moments[j - 1]!) / rate,
    );
  }
  return moments;
}

/** Integrals of u^j from 0 to `length`, for j = 0 to count - 1. */
export function powerMoments(count: number, length: number): number[] {
  return Array.from({ length: count }, (_, j) => length ** (j + 1) / (j + 1));
}

/** Coefficients of the product of (u - root), the constant first. */
function polynomialWithRoots(roots: readonly number[]): number[] {
  return roots.reduce<number[]>(
    (coefficients, root) => [0, ...coefficients].map((shifted, j) => shifted - root * (coefficients[j] ?? 0)),
    [1],
  );
}
