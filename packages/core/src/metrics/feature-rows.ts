/** Feature vectors of a set of pictures, one per picture, all of the same width: from CLIP or Inception, or points. */
export type FeatureRows = readonly ArrayLike<number>[];

/** @throws RangeError unless each set has at least `least` rows, and all rows have the same width and finite numbers */
export function requireRows(name: string, sets: Readonly<Record<string, FeatureRows>>, least: number): void {
  const width = Object.values(sets)[0]![0]?.length;
  for (const [set, rows] of Object.entries(sets)) {
    if (rows.length < least) {
      throw new RangeError(`${name}: ${set} has ${rows.length} rows; give at least ${least}, one per picture.`);
    }
    const odd = rows.findIndex((row) => row.length !== width);
    if (odd >= 0) {
      throw new RangeError(
        `${name}: row ${odd} of ${set} has ${rows[odd]!.length} numbers, the first row has ${width}; give rows of the same network.`,
      );
    }
    const bad = rows.findIndex((row) => !Array.prototype.every.call(row, Number.isFinite));
    if (bad >= 0) throw new RangeError(`${name}: row ${bad} of ${set} contains a number that is not finite.`);
  }
}

/** a . b */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** |a - b|^2 */
export function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}
