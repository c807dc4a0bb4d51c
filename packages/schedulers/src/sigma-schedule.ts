import { betaQuantile } from "./numerics/beta-distribution.js";
import type { Settings } from "./config.js";
import { SchedulerConfigError } from "./errors.js";
import { linspace32 } from "./schedule.js";

/** n noise levels from max to min whose rho-th roots are evenly spaced (Karras et al. 2022, eq. 5). */
export function karrasSigmas(n: number, max: number, min: number, rho = 7): number[] {
  return evenly(n, (share) => (max ** (1 / rho) + share * (min ** (1 / rho) - max ** (1 / rho))) ** rho);
}

/** {@link karrasSigmas} in float32, where the rounding changes the lowest levels. */
export function karrasSigmas32(n: number, max: number, min: number, rho = 7): number[] {
  const f32 = Math.fround;
  const [from, to] = [max ** (1 / rho), min ** (1 / rho)];
  return Array.from(linspace32(0, 1, n), (share) => f32(f32(f32(from) + f32(share * f32(to - from))) ** rho));
}

/** n noise levels from max to min whose logarithms are evenly spaced. */
export function exponentialSigmas(n: number, max: number, min: number): number[] {
  return evenly(n, (share) => Math.exp(Math.log(max) + share * (Math.log(min) - Math.log(max))));
}

/** n noise levels from max to min at the quantiles of Beta(0.6, 0.6): dense at both ends (Lee et al. 2024). */
export function betaSigmas(n: number, max: number, min: number, alpha = 0.6, beta = 0.6): number[] {
  return evenly(n, (share) => min + betaQuantile(1 - share, alpha, beta) * (max - min));
}

/** Align Your Steps (Sabour et al. 2024): ten timesteps optimised for a model, for `plan({ timesteps })`. */
export const alignYourSteps = {
  "stable-diffusion-1": [999, 850, 736, 645, 545, 455, 343, 233, 124, 24],
  "stable-diffusion-xl": [999, 845, 730, 587, 443, 310, 193, 116, 53, 13],
} as const;

/** The n noise levels from max to min that the config computes by a formula, or undefined if it does not. */
export function requestedSigmas(settings: Settings, n: number, max: number, min: number): number[] | undefined {
  const { use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas, use_lu_lambdas } = settings;
  const asked = Object.entries({ use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas }).filter(([, on]) => on);
  if (asked.length > 1) {
    throw new SchedulerConfigError(
      `${asked.map(([name]) => name).join(" and ")} are both true; set at most one of them.`,
    );
  }
  const range = [n, settings.sigma_max ?? max, settings.sigma_min ?? min] as const;
  if (use_karras_sigmas) return karrasSigmas(...range);
  // Lu et al. 2022 space lambda = -log(sigma) evenly, which is equivalent.
  if (use_exponential_sigmas || use_lu_lambdas) return exponentialSigmas(...range);
  if (use_beta_sigmas) return betaSigmas(...range);
  return undefined;
}

/** sqrt((1 - alphaBar) / alphaBar) of every trained timestep, in float32, as in training. */
export function trainedSigmas(alphaBar: Float64Array): Float64Array {
  const f32 = Math.fround;
  return alphaBar.map((bar) => f32(Math.sqrt(f32(f32(1 - bar) / bar))));
}

/** The table's value at a fractional position, by linear interpolation; constant beyond the ends. */
export function interpolate(table: Float64Array, position: number): number {
  const below = Math.min(Math.max(Math.floor(position), 0), table.length - 1);
  const above = Math.min(below + 1, table.length - 1);
  const share = Math.min(Math.max(position - below, 0), 1);
  return table[below]! + share * (table[above]! - table[below]!);
}

/** The fractional timestep of a noise level, by interpolation in log sigma. */
export function timestepOf(sigma: number, sigmas: Float64Array): number {
  if (sigmas.length === 1) return 0;
  const log = Math.log(Math.max(sigma, 1e-10));
  const logOf = (t: number) => Math.fround(Math.log(sigmas[t]!));
  let below = 0;
  for (let t = 1; t < sigmas.length - 1 && logOf(t) <= log; t++) below = t;
  const share = Math.min(Math.max((logOf(below) - log) / (logOf(below) - logOf(below + 1)), 0), 1);
  return below + share;
}

function evenly(n: number, f: (share: number) => number): number[] {
  return Array.from({ length: n }, (_, i) => f(n === 1 ? 0 : i / (n - 1)));
}
