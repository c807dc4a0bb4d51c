/** A noise level: x_t = alpha x_0 + sigma epsilon, and lambda = log(alpha / sigma). */
interface Level {
  readonly alpha: number;
  readonly sigma: number;
  readonly lambda: number;
}

/** Which equation is solved: for x0 or epsilon, with or without noise. */
export interface Algorithm {
  readonly predicts: "x0" | "epsilon";
  readonly stochastic: boolean;
}

/** By algorithm_type. */
export const ALGORITHMS = {
  "dpmsolver++": { predicts: "x0", stochastic: false },
  dpmsolver: { predicts: "epsilon", stochastic: false },
  "sde-dpmsolver++": { predicts: "x0", stochastic: true },
  "sde-dpmsolver": { predicts: "epsilon", stochastic: true },
} as const satisfies Record<string, Algorithm>;

/**
 * The weights of one step: of x, of the output at its start, of the output's first and second derivatives there, and of
 * fresh noise.
 */
export interface ExponentialStep {
  /** The step in lambda. Derivatives are over lambda in units of it. */
  readonly h: number;
  readonly ofX: number;
  readonly ofOutput: number;
  readonly ofSlope: number;
  /** The slope's weight in the midpoint form: half the output's. */
  readonly ofSlopeMidpoint: number;
  readonly ofCurvature: number;
  /** ofCurvature in the papers' published code; see {@link exponentialStep}. */
  readonly ofCurvaturePublished: number;
  readonly ofNoise: number;
}

/**
 * The exact solution over a step from level s to level t of the linear part of the diffusion equation, with the output
 * a polynomial in lambda (Lu et al. 2022b, eq. 9 for x0; Lu et al. 2022a, eq. 3.4 for epsilon; 2022b, appendix B for
 * the stochastic forms).
 *
 * Let m(u) be the output at distance u from the start. The x0 forms integrate k e^(-k (h - u)) m(u) over the step,
 * where k = 1, or 2 with noise. With z = -k h, a constant m gives alpha_t (1 - e^z), a slope u / h gives alpha_t (1 -
 * phi1(z)), and a curvature u^2 / (2 h^2) gives alpha_t (1/2 - phi2(z)), which vanishes with the step. The epsilon
 * forms are the same with z = h. The published code of the stochastic x0 form has -1/2 instead of 1/2, a wrong sign:
 * that weight tends to -alpha_t, and the method has only first order. It is kept to agree with diffusers.
 */
export function exponentialStep({ predicts, stochastic }: Algorithm, s: Level, t: Level): ExponentialStep {
  const h = t.lambda - s.lambda;
  const x0 = predicts === "x0";
  // The stochastic equations have a factor of 2: in the exponent for x0, on the whole term for epsilon.
  const z = x0 ? (stochastic ? -2 * h : -h) : h;
  const scale = x0 ? t.alpha : stochastic ? 2 * t.sigma : t.sigma;
  return {
    h,
    ofX: x0 ? (t.sigma / s.sigma) * (stochastic ? Math.exp(-h) : 1) : t.alpha / s.alpha,
    ofOutput: -scale * Math.expm1(z),
    ofSlope: scale * (1 - phi1(z)),
    ofSlopeMidpoint: (-scale * Math.expm1(z)) / 2,
    ofCurvature: scale * (0.5 - phi2(z)),
    ofCurvaturePublished: scale * ((x0 && stochastic ? -0.5 : 0.5) - phi2(z)),
    ofNoise: stochastic ? t.sigma * Math.sqrt(Math.max(0, x0 ? -Math.expm1(-2 * h) : Math.expm1(2 * h))) : 0,
  };
}

/** (e^z - 1) / z. */
const phi1 = (z: number): number => (z === 0 ? 1 : Math.expm1(z) / z);

/** (e^z - 1 - z) / z^2; near 0 by its series, because the difference would cancel. */
const phi2 = (z: number): number => (Math.abs(z) < 1e-4 ? 0.5 + z / 6 + z ** 2 / 24 : (Math.expm1(z) - z) / z ** 2);
