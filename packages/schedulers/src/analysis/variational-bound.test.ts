import { describe, expect, it } from "@jest/globals";
import { alphaBars, betas } from "../schedule.js";
import { bitsPerDimension, variationalBound } from "./variational-bound.js";

const barsOf = (T: number) =>
  alphaBars(
    betas({
      num_train_timesteps: T,
      beta_start: 0.1 / T,
      beta_end: 20 / T,
      beta_schedule: "linear",
      trained_betas: null,
    }),
  );
/** Data N(0, s^2): the best prediction of x0 has this error. */
const S = 0.5;
const errorsOf = (alphaBar: ArrayLike<number>) =>
  Float64Array.from(alphaBar, (bar) => (S ** 2 * (1 - bar)) / (bar * S ** 2 + 1 - bar));
const ENTROPY = Math.log(2 * Math.PI * Math.E * S ** 2) / 2;

describe("The variational bound", () => {
  const alphaBar = barsOf(1000);
  const bound = (variance: "small" | "large" | "optimal", bars = alphaBar) =>
    variationalBound({ alphaBar: bars, errors: errorsOf(bars), secondMoment: S ** 2, variance });

  it("of N(0, 0.5^2) at T = 1000, with the best variances, sums to the entropy 0.725791", () => {
    const { total, prior, steps, reconstruction } = bound("optimal");
    expect(ENTROPY).toBeCloseTo(0.725791, 6);
    expect(Math.abs(total - ENTROPY)).toBeLessThan(1e-9);
    expect(prior + reconstruction + steps.reduce((sum, term) => sum + term, 0)).toBe(total);
    expect(steps).toHaveLength(999);
    expect(Math.min(prior, ...steps)).toBeGreaterThanOrEqual(0);
  });

  it("is above the entropy with the published variances, and nears it with more timesteps", () => {
    for (const variance of ["small", "large"] as const) {
      const gap = (T: number) => bound(variance, barsOf(T)).total - ENTROPY;
      expect(gap(1000)).toBeGreaterThan(1e-4);
      expect(gap(250)).toBeGreaterThan(gap(1000));
      expect(gap(1000)).toBeGreaterThan(gap(4000));
    }
  });

  it("rises with the errors", () => {
    const worse = errorsOf(alphaBar).map((error) => 1.1 * error);
    const { total } = variationalBound({ alphaBar, errors: worse, secondMoment: S ** 2 });
    expect(total).toBeGreaterThan(bound("optimal").total + 0.01);
  });

  it("refuses a wrong number of errors", () => {
    expect(() => variationalBound({ alphaBar, errors: [1], secondMoment: 1 })).toThrow("1 errors for 1000 timesteps");
  });
});

describe("bitsPerDimension", () => {
  it("is 8 for bytes that are all as likely", () => {
    // 256 values, 1 / 127.5 apart: a density of 127.5 / 256.
    expect(bitsPerDimension(-Math.log(127.5 / 256))).toBeCloseTo(8, 12);
  });
});
