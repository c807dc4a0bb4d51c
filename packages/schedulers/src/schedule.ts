import { SchedulerConfigError, shown } from "./errors.js";

/** The part of a scheduler's config that sets the noise schedule: how fast data turn into noise. */
export interface ScheduleConfig {
  /** T, the number of noise levels a network is trained on. */
  num_train_timesteps: number;
  beta_start: number;
  beta_end: number;
  beta_schedule: BetaSchedule;
  /** The betas themselves; beta_start, beta_end and beta_schedule are then unused. */
  trained_betas: readonly number[] | null;
}

const f32 = Math.fround;

/**
 * The variance of the noise added at step t = 0 to T - 1 (beta_t of Ho et al. 2020, section 2), by the schedule's name.
 * The numbers are float32, as in training: near t = 0, where 1 - alphaBar is small, the rounding changes the third
 * digit of sigma.
 */
const BETAS = {
  /** Evenly spaced (Ho et al. 2020, section 4). */
  linear: ({ beta_start, beta_end, num_train_timesteps }) => linspace32(beta_start, beta_end, num_train_timesteps),
  /** Evenly spaced square roots (the code of Rombach et al. 2022). */
  scaled_linear: ({ beta_start, beta_end, num_train_timesteps }) =>
    linspace32(Math.sqrt(beta_start), Math.sqrt(beta_end), num_train_timesteps).map((root) => f32(root * root)),
  /** alphaBar falls as a squared cosine (Nichol & Dhariwal 2021, eq. 17). */
  squaredcos_cap_v2: ({ num_train_timesteps }) =>
    betasOf((t) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2, num_train_timesteps),
  /** A sigmoid from beta_start to beta_end (Xu et al. 2022, GeoDiff). */
  sigmoid: ({ beta_start, beta_end, num_train_timesteps }) =>
    linspace32(-6, 6, num_train_timesteps).map((x) =>
      f32(f32(f32(1 / (1 + Math.exp(-x))) * (beta_end - beta_start)) + beta_start),
    ),
  /** alphaBar falls exponentially. */
  exp: ({ num_train_timesteps }) => betasOf((t) => Math.exp(-12 * t), num_train_timesteps),
  /** The log signal-to-noise ratio follows a Laplace distribution (Hang & Gu 2024). */
  laplace: ({ num_train_timesteps }) =>
    betasOf((t) => {
      const snr = Math.exp(-0.5 * Math.sign(0.5 - t) * Math.log(1 - 2 * Math.abs(0.5 - t) + 1e-6));
      return Math.sqrt(snr / (1 + snr));
    }, num_train_timesteps),
} satisfies Record<string, (config: ScheduleConfig) => Float64Array>;

/** Names of the schedules that {@link betas} computes. */
export type BetaSchedule = keyof typeof BETAS;

/**
 * beta_t for t = 0 to T - 1.
 * @throws SchedulerConfigError for an unknown schedule, and unless 0 <= beta_start <= beta_end <= 1
 */
export function betas(config: ScheduleConfig): Float64Array {
  const { num_train_timesteps: T, trained_betas, beta_schedule, beta_start, beta_end } = config;
  if (!Number.isInteger(T) || T < 1) {
    throw new SchedulerConfigError(`num_train_timesteps is ${T}; it must be a whole number, 1 or more, usually 1000.`);
  }
  if (trained_betas) {
    if (trained_betas.length === 0)
      throw new SchedulerConfigError("trained_betas is empty; give one beta for each training timestep.");
    return Float64Array.from(trained_betas, f32);
  }
  if (!Object.hasOwn(BETAS, beta_schedule)) {
    throw new SchedulerConfigError(
      `beta_schedule ${shown(beta_schedule)} is unknown; it must be one of ${Object.keys(BETAS).join(", ")}.`,
    );
  }
  if (!(beta_start >= 0 && beta_end <= 1 && beta_start <= beta_end)) {
    throw new SchedulerConfigError(
      `beta_start ${beta_start} and beta_end ${beta_end} must be ascending numbers in [0, 1].`,
    );
  }
  return BETAS[beta_schedule](config);
}

/**
 * alphaBar_t, the product of 1 - beta up to t (Ho et al. 2020, eq. 4): multiplied in float64, each value rounded to
 * float32.
 */
export function alphaBars(betas: ArrayLike<number>): Float64Array {
  let product = 1;
  return Float64Array.from(betas, (beta) => f32((product *= f32(1 - beta))));
}

/** Betas shifted and scaled so that the last noise level is pure noise (Lin et al. 2024, algorithm 1). */
export function rescaleZeroTerminalSnr(betas: ArrayLike<number>): Float64Array {
  const roots = alphaBars(betas).map((bar) => f32(Math.sqrt(bar)));
  const first = roots[0]!;
  const last = roots[roots.length - 1]!;
  const scale = f32(first / f32(first - last));
  const bars = roots.map((root) => f32(f32(f32(root - last) * scale) ** 2));
  return bars.map((bar, t) => f32(1 - (t === 0 ? bar : f32(bar / bars[t - 1]!))));
}

/** beta_t = 1 - f((t + 1) / T) / f(t / T), at most 0.999, for an alphaBar that falls as f from 1 to 0. */
function betasOf(f: (t: number) => number, T: number): Float64Array {
  return Float64Array.from({ length: T }, (_, t) => f32(Math.min(1 - f((t + 1) / T) / f(t / T), 0.999)));
}

/** torch.linspace in float32: the first half counts from the start, the second half back from the end. */
export function linspace32(start: number, end: number, steps: number): Float64Array {
  const [from, to] = [f32(start), f32(end)];
  const step = steps > 1 ? f32(f32(to - from) / f32(steps - 1)) : 0;
  return Float64Array.from({ length: steps }, (_, i) =>
    i < steps / 2 ? f32(from + step * i) : f32(to - step * (steps - 1 - i)),
  );
}

/**
 * Noise level sigma = sqrt((1 - alphaBar) / alphaBar) of x / sqrt(alphaBar), in the convention of Karras et al. 2022.
 */
export const sigmaOf = (alphaBar: number): number => Math.sqrt((1 - alphaBar) / alphaBar);

/** Signal-to-noise ratio (Kingma et al. 2021, eq. 2). */
export const snrOf = (alphaBar: number): number => alphaBar / (1 - alphaBar);
