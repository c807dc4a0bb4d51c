import type { GaussianMixture } from "./mixture.js";

/**
 * Moves a point along the probability flow of a mixture from one noise level to another (Karras et al. 2022, eq. 1), in
 * float64. Every deterministic sampler approximates this flow. In y = x / alpha and l = log(sigma / alpha) it is dy/dl
 * = y - E[x0 | y]; classic fourth-order Runge-Kutta steps solve it to 1e-8.
 *
 * @param y the point, x / alpha
 * @param from sigma / alpha of that point
 * @param to sigma / alpha to end at; 0 for a clean sample
 * @throws RangeError unless the levels are finite and descending. (A flow-matching plan begins at alpha 0, where y is
 *   infinite.)
 */
export function exactFlow(mixture: GaussianMixture, y: readonly number[], from: number, to: number): number[] {
  if (!(Number.isFinite(from) && from > to && to >= 0)) {
    throw new RangeError(
      `exactFlow: from ${from} to ${to}; give two noise levels, sigma / alpha, in descending order: the first finite, the second 0 or more.`,
    );
  }
  // Below a thousandth of the data's deviation the remaining noise is negligible and is removed in one step.
  const end = Math.max(to, mixture.deviation * 1e-3);
  const steps = Math.ceil(Math.log(from / end) * STEPS_PER_E_FOLD);
  const h = -Math.log(from / end) / steps;
  const slope = (point: readonly number[], k: number) => {
    const mean = posteriorMean(mixture, point, from * Math.exp(k * h));
    return point.map((value, d) => value - mean[d]!);
  };
  const moved = (point: readonly number[], by: number, along: readonly number[]) =>
    point.map((v, d) => v + by * along[d]!);
  let at: readonly number[] = y;
  for (let k = 0; k < steps; k++) {
    const k1 = slope(at, k);
    const k2 = slope(moved(at, h / 2, k1), k + 0.5);
    const k3 = slope(moved(at, h / 2, k2), k + 0.5);
    const k4 = slope(moved(at, h, k3), k + 1);
    at = at.map((value, d) => value + (h / 6) * (k1[d]! + 2 * k2[d]! + 2 * k3[d]! + k4[d]!));
  }
  return to === 0 ? posteriorMean(mixture, at, end) : [...at];
}

const STEPS_PER_E_FOLD = 40;

/** E[x0 | y] of a mixture at y = x0 + sigma epsilon: `mixtureDenoiser` in float64. */
export function posteriorMean(
  { means, deviation, weights }: GaussianMixture,
  y: readonly number[],
  sigma: number,
): number[] {
  const variance = deviation ** 2 + sigma ** 2;
  const logs = means.map(
    (mean, k) => Math.log(weights?.[k] ?? 1) - mean.reduce((sum, m, d) => sum + (y[d]! - m) ** 2, 0) / (2 * variance),
  );
  const top = Math.max(...logs);
  const shares = logs.map((log) => Math.exp(log - top));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const pull = deviation ** 2 / variance;
  return y.map((value, d) => {
    const centre = means.reduce((sum, mean, k) => sum + (shares[k]! / total) * mean[d]!, 0);
    return pull * value + (1 - pull) * centre;
  });
}
