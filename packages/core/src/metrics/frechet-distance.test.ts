import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { frechetDistance } from "./frechet-distance.js";

/**
 * Rows of independent uniform numbers; column i has standard deviation `deviations[i]`, and all are moved by `shift`.
 */
function rowsOf(seed: number, deviations: readonly number[], shift = 0, count = 20_000): number[][] {
  const random = keyedRandom(seed);
  return Array.from({ length: count }, () =>
    deviations.map((deviation) => (random.uniform() - 0.5) * Math.sqrt(12) * deviation + shift),
  );
}

describe("The Fréchet distance", () => {
  it("is 0 from a set to itself, and symmetric", () => {
    const [a, b] = [rowsOf(1, [1, 2, 0.5], 0, 500), rowsOf(2, [2, 1, 1], 1, 500)];
    expect(frechetDistance(a, a)).toBeCloseTo(0, 9);
    expect(frechetDistance(a, b)).toBeCloseTo(frechetDistance(b, a), 9);
  });

  it("is the squared distance of the means if only the means differ", () => {
    const a = rowsOf(1, [1, 2, 0.5], 0, 500);
    const moved = a.map(([x, y, z]) => [x! + 3, y! - 4, z!]);
    expect(frechetDistance(a, moved)).toBeCloseTo(25, 8);
  });

  it("of independent columns is the sum of the squared differences of their deviations", () => {
    // Sampling error of a deviation from 20,000 rows: below 1 %.
    expect(frechetDistance(rowsOf(1, [1, 2]), rowsOf(2, [3, 1]))).toBeGreaterThan(4.8);
    expect(frechetDistance(rowsOf(1, [1, 2]), rowsOf(2, [3, 1]))).toBeLessThan(5.2);
  });

  it("works for features that do not vary", () => {
    expect(
      frechetDistance(
        [
          [1, 0],
          [1, 0],
        ],
        [
          [1, 2],
          [1, 2],
        ],
      ),
    ).toBeCloseTo(4, 9);
  });
});
