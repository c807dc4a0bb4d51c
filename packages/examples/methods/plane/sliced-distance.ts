/**
 * Sliced Wasserstein distance of two sets of points (Bonneel et al. 2015, eq. 5, with exponent 1): seen from a
 * direction, how far must each point move, on average, to turn one set into the other? The mean over directions.
 *
 * @param points [N][2]
 * @param others [N][2], as many
 * @throws RangeError if one set has more points
 */
export function slicedDistance(
  points: readonly (readonly number[])[],
  others: readonly (readonly number[])[],
  directions = 64,
): number {
  if (points.length !== others.length || points.length === 0) {
    throw new RangeError(`slicedDistance: ${points.length} and ${others.length} points; give as many of both.`);
  }
  let sum = 0;
  for (let i = 0; i < directions; i++) {
    const angle = (Math.PI * i) / directions;
    const seen = (set: readonly (readonly number[])[]) =>
      Float64Array.from(set, ([x, y]) => x! * Math.cos(angle) + y! * Math.sin(angle)).sort();
    const [a, b] = [seen(points), seen(others)];
    sum += a.reduce((total, value, k) => total + Math.abs(value - b[k]!), 0) / a.length;
  }
  return sum / directions;
}
