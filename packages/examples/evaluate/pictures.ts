import * as tf from "@tensorflow/tfjs";
import { ATTRIBUTES, FACES, type Attribute, type Face } from "../datasets/faces/index.js";

/**
 * For each picture, the distance to the most similar of the others: root mean square over pixels and channels, in
 * units of the whole range from black to white. Pictures are flat rows [N, pixels * 3] in [-1, 1]; both are borrowed.
 */
export async function nearestDistances(pictures: tf.Tensor2D, others: tf.Tensor2D): Promise<Float32Array> {
  const size = pictures.shape[1];
  const nearest = tf.tidy(() => {
    const squares = tf.sum(others.square(), 1);
    // |a - b|² = |a|² + |b|² - 2ab: one matrix product for all pairs.
    const squaredDistances = squares.sub(tf.matMul(pictures, others, false, true).mul(2)).min(1);
    return squaredDistances
      .add(tf.sum(pictures.square(), 1))
      .maximum(0)
      .div(size * 4)
      .sqrt();
  });
  const distances = (await nearest.data()) as Float32Array;
  nearest.dispose();
  return distances;
}

/** For each picture, the index of the most similar of the others; pictures are bytes of the same size. */
export function nearestIndices(pictures: readonly Uint8Array[], others: readonly Uint8Array[]): number[] {
  return pictures.map((picture) => {
    let [best, least] = [0, Infinity];
    others.forEach((other, index) => {
      let distance = 0;
      for (let i = 0; i < picture.length && distance < least; i++) distance += (picture[i]! - other[i]!) ** 2;
      if (distance < least) [best, least] = [index, distance];
    });
    return best;
  });
}

/** The distinct colours of pictures given as bytes, RGB. */
export function paletteOf(pictures: Iterable<Uint8Array>): Set<number> {
  const palette = new Set<number>();
  for (const bytes of pictures) {
    for (let i = 0; i < bytes.length; i += 3) palette.add((bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!);
  }
  return palette;
}

/** The share of pixels that differ from some colour of the palette by at most `tolerance` of 255 in each channel. */
export function shareNearPalette(
  pictures: readonly Uint8Array[],
  palette: ReadonlySet<number>,
  tolerance = 12,
): number {
  const colors = [...palette].map((color) => [color >> 16, (color >> 8) & 255, color & 255] as const);
  const isNear = (r: number, g: number, b: number) =>
    colors.some(
      ([x, y, z]) => Math.abs(x - r) <= tolerance && Math.abs(y - g) <= tolerance && Math.abs(z - b) <= tolerance,
    );
  let [near, total] = [0, 0];
  for (const bytes of pictures) {
    for (let i = 0; i < bytes.length; i += 3) near += Number(isNear(bytes[i]!, bytes[i + 1]!, bytes[i + 2]!));
    total += bytes.length / 3;
  }
  return near / total;
}

/** How often each value is shown, of the pictures that show the attribute at all. */
export function valueShares(
  readings: readonly Partial<Face>[],
  names: readonly Attribute[] = FACES.attributes,
): Record<Attribute, Record<string, number>> {
  return Object.fromEntries(
    names.map((name) => {
      const shown = readings.filter((face) => name in face);
      const share = (value: string) => shown.filter((face) => face[name] === value).length / shown.length;
      return [name, Object.fromEntries(ATTRIBUTES[name].map((value) => [value, share(value)]))];
    }),
  ) as Record<Attribute, Record<string, number>>;
}

/** Total variation: half the sum of the differences of shares; 0 when equal, 1 when nothing is shared. */
export function totalVariation(a: Record<string, number>, b: Record<string, number>): number {
  return Object.keys(a).reduce((sum, value) => sum + Math.abs(a[value]! - b[value]!), 0) / 2;
}

/** The q-quantile of numbers, q in [0, 1]. */
export function quantile(values: ArrayLike<number>, q: number): number {
  const sorted = Array.from(values).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}
