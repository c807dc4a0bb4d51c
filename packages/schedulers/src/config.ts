import type { ScheduleConfig } from "./schedule.js";
import type { TimestepSpacing } from "./spacing.js";
import type { PredictionType } from "./prediction.js";
import type { ThresholdingConfig } from "./thresholding.js";

/** Keys that DDPM, DDIM and their relatives share, as in public `scheduler_config.json` files. */
export interface CommonConfig extends ScheduleConfig, ThresholdingConfig {
  prediction_type: PredictionType;
  timestep_spacing: TimestepSpacing;
  /** Added to every timestep of the "leading" spacing; Stable Diffusion uses 1. */
  steps_offset: number;
  /** Change the betas so that the last noise level is pure noise (Lin et al. 2024). */
  rescale_betas_zero_snr: boolean;
}

export const COMMON_DEFAULTS: CommonConfig = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: "linear",
  trained_betas: null,
  prediction_type: "epsilon",
  clip_sample: true,
  clip_sample_range: 1,
  thresholding: false,
  dynamic_thresholding_ratio: 0.995,
  sample_max_value: 1,
  timestep_spacing: "leading",
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};

/**
 * A method's config: its own keys, with the given values where there are any. Keys of other methods are left out, so
 * that one `scheduler_config.json` serves every method, each taking what it shares with the one the file was written for.
 */
export function ownConfig<Name extends string, Config extends object>(
  className: Name,
  defaults: Config,
  given: Partial<Config>,
): Readonly<Config & { _class_name: Name }> {
  const own = Object.entries(given).filter(([key, value]) => key in defaults && value !== undefined);
  return Object.freeze({ _class_name: className, ...defaults, ...Object.fromEntries(own) }) as Readonly<
    Config & { _class_name: Name }
  >;
}
