import {
  alphaBars,
  betas,
  type BetaSchedule,
  rescaleZeroTerminalSnr,
  snrOf,
  spacedTimesteps,
  type TimestepSpacing,
} from "@tfjs-diffusion/schedulers";

/** What the page lets one choose. */
export interface ScheduleSettings {
  beta_schedule: BetaSchedule;
  beta_start: number;
  beta_end: number;
  rescale_betas_zero_snr: boolean;
  timestep_spacing: TimestepSpacing;
  /** Steps of a sampler. */
  steps: number;
}

/** Training timesteps of all schedules here. */
export const T = 1000;

/** Stable Diffusion's. */
export const DEFAULTS: ScheduleSettings = {
  beta_schedule: "scaled_linear",
  beta_start: 0.00085,
  beta_end: 0.012,
  rescale_betas_zero_snr: false,
  timestep_spacing: "leading",
  steps: 20,
};

/** The schedules whose config gives the smallest and the largest beta. */
export const WITH_BETAS: readonly BetaSchedule[] = ["linear", "scaled_linear", "sigmoid"];

export const SCHEDULES: Readonly<Partial<Record<BetaSchedule, string>>> = {
  linear: "linear (DDPM)",
  scaled_linear: "scaled linear (Stable Diffusion)",
  squaredcos_cap_v2: "squared cosine",
  sigmoid: "sigmoid",
  exp: "exponential",
};

/** A schedule in numbers, an entry for each timestep. */
export interface ScheduleCurves {
  /** sqrt(alphaBar): how much of the picture is in x_t. */
  signal: number[];
  /** sqrt(1 - alphaBar): the deviation of the noise in x_t. */
  noise: number[];
  /** log10 of the signal-to-noise ratio. */
  logSnr: number[];
  /** The timesteps that a sampler visits. */
  visited: number[];
}

/** @throws SchedulerConfigError for betas out of range */
export function scheduleCurves(settings: ScheduleSettings): ScheduleCurves {
  const { timestep_spacing: spacing, steps, rescale_betas_zero_snr: isRescaled, ...config } = settings;
  const given = betas({ ...config, num_train_timesteps: T, trained_betas: null });
  const bars = [...alphaBars(isRescaled ? rescaleZeroTerminalSnr(given) : given)];
  return {
    signal: bars.map(Math.sqrt),
    noise: bars.map((bar) => Math.sqrt(1 - bar)),
    logSnr: bars.map((bar) => Math.log10(snrOf(bar))),
    visited: spacedTimesteps(spacing, steps, T, 0),
  };
}

/** The config that diffusers and `schedulerFromConfig` read. */
export function schedulerConfig({ steps: _, ...settings }: ScheduleSettings): Record<string, unknown> {
  return { _class_name: "DDIMScheduler", num_train_timesteps: T, ...settings };
}

/** x_t = signal x_0 + noise epsilon (Ho et al. 2020, eq. 4), of bytes of a picture, with values in [-1, 1]. */
export function noised(bytes: Uint8ClampedArray, epsilon: Float32Array, signal: number, noise: number) {
  return Uint8ClampedArray.from(bytes, (byte, i) =>
    i % 4 === 3 ? 255 : 127.5 * (signal * (byte / 127.5 - 1) + noise * epsilon[i]! + 1),
  );
}

/** Standard normal numbers (Box & Muller 1958), always the same. */
export function fixedNoise(count: number): Float32Array {
  let state = 1;
  // Park & Miller 1988: enough for a picture to look at.
  const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647;
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}
