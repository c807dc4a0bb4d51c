import { posterior } from "../forward.js";

/** What the bound of a diffusion model depends on. All are means per number of the data. */
export interface BoundInputs {
  /** Of all T timesteps. */
  readonly alphaBar: ArrayLike<number>;
  /** Mean squared error of the predicted x0 at each timestep, T of them. */
  readonly errors: ArrayLike<number>;
  /** Mean of x0^2. */
  readonly secondMoment: number;
  /**
   * Variance of the model's steps: "small" is the posterior's, "large" is beta (Ho et al. 2020, section 3.2),
   * "optimal" the one with the best bound (Bao et al. 2022, theorem 1). Default "optimal".
   */
  readonly variance?: "small" | "large" | "optimal";
}

/** The bound on -ln p(x0) in nats per number, and its terms (Ho et al. 2020, eq. 5). */
export interface VariationalBound {
  /** L_T: how far the last noise level is from pure noise. */
  readonly prior: number;
  /** L_1 to L_{T-1}: at each timestep from 1, what the step to the next lower one costs. */
  readonly steps: Float64Array;
  /** L_0: the cost of x0 itself, given the lowest noise level, as a density. */
  readonly reconstruction: number;
  readonly total: number;
}

/**
 * The variational bound of Ho et al. 2020 (eq. 5) in float64, from the errors of the predicted x0: each step compares
 * two Gaussians whose means differ by the posterior's weight of x0 times the error.
 *
 *   L_{t-1} = (ln(w / v) + (v + c^2 e_t) / w - 1) / 2,   v the posterior's variance, c its weight of x0, w the model's
 *
 * @throws RangeError unless there is an error for each timestep
 */
export function variationalBound({
  alphaBar,
  errors,
  secondMoment,
  variance = "optimal",
}: BoundInputs): VariationalBound {
  const T = alphaBar.length;
  if (errors.length !== T || T < 2) {
    throw new RangeError(
      `variationalBound: ${errors.length} errors for ${T} timesteps; give one for each, at least 2.`,
    );
  }
  const steps = Float64Array.from({ length: T - 1 }, (_, i) => {
    const [bar, below] = [alphaBar[i + 1]!, alphaBar[i]!];
    const { ofX0, variance: v } = posterior(bar, below);
    const apart = ofX0 ** 2 * errors[i + 1]!;
    const w = variance === "small" ? v : variance === "large" ? 1 - bar / below : v + apart;
    return (Math.log(w / v) + (v + apart) / w - 1) / 2;
  });
  const last = alphaBar[T - 1]!;
  const prior = (last * secondMoment + (1 - last) - 1 - Math.log(1 - last)) / 2;
  // At the lowest level the posterior's variance is 0; as published, the one above stands in for it.
  const small = posterior(alphaBar[1]!, alphaBar[0]!).variance;
  const w = variance === "small" ? small : variance === "large" ? 1 - alphaBar[0]! : errors[0]!;
  const reconstruction = (Math.log(2 * Math.PI * w) + errors[0]! / w) / 2;
  return { prior, steps, reconstruction, total: prior + reconstruction + steps.reduce((sum, term) => sum + term, 0) };
}

/**
 * Nats per number of a density as bits per number of the whole values that the data were read from (Theis et al. 2016,
 * section 3.1): their spacing is 1 / 127.5 for bytes in [-1, 1].
 */
export const bitsPerDimension = (nats: number, spacing = 1 / 127.5): number => nats / Math.LN2 - Math.log2(spacing);
