import type { SolverLevel } from "./solver-scheduler.js";

/** Which equation is solved: for which quantity, and with or without noise. */
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

/** One step's weights, for x, the output at its start, the output's slope and curvature over the step, and fresh noise. */
export interface ExponentialStep {
  /** The step in lambda. */
  readonly h: number;
  readonly ofX: number;
  readonly ofOutput: number;
  readonly ofSlope: number;
  /** The slope's weight in the midpoint form: half the output's. */
  readonly ofSlopeMidpoint: number;
  readonly ofCurvature: number;
  readonly ofNoise: number;
}

/**
 * The exact solution over a step from level s to level t of the linear part of the diffusion equation, with the output a polynomial
 * in lambda (Lu et al. 2022b, eq. 9 for x0; Lu et al. 2022a, eq. 3.4 for epsilon; 2022b, appendix B for the stochastic forms).
 */
export function exponentialStep({ predicts, stochastic }: Algorithm, s: SolverLevel, t: SolverLevel): ExponentialStep {
  const h = t.lambda - s.lambda;
  const x0 = predicts === "x0";
  // The stochastic equations pull twice as hard: on the exponent for x0, on the whole for epsilon.
  const z = x0 ? (stochastic ? -2 * h : -h) : h;
  const scale = x0 ? t.alpha : stochastic ? 2 * t.sigma : t.sigma;
  const noise = stochastic ? t.sigma * Math.sqrt(x0 ? -Math.expm1(-2 * h) : Math.expm1(2 * h)) : 0;
  return {
    h,
    ofX: x0 ? (t.sigma / s.sigma) * (stochastic ? Math.exp(-h) : 1) : t.alpha / s.alpha,
    ofOutput: -scale * Math.expm1(z),
    ofSlope: scale * (1 - phi1(z)),
    ofSlopeMidpoint: (-scale * Math.expm1(z)) / 2,
    // The sign before 1/2 is diffusers', whose curves users know; the derivation gives + in both forms.
    ofCurvature: scale * ((x0 && stochastic ? -0.5 : 0.5) - phi2(z)),
    ofNoise: noise,
  };
}

/** (e^z - 1) / z. */
const phi1 = (z: number): number => (z === 0 ? 1 : Math.expm1(z) / z);

/** (e^z - 1 - z) / z^2; its series where the difference would cancel. */
const phi2 = (z: number): number => (Math.abs(z) < 1e-4 ? 0.5 + z / 6 + z ** 2 / 24 : (Math.expm1(z) - z) / z ** 2);
