import { SchedulerConfigError, shown } from "./errors.js";

/** One key of a config. */
export interface ConfigValue<Value = unknown> {
  /** The value if a config does not have the key. */
  readonly fallback: Value;
  /** The allowed values, for the error message "it must be …". */
  readonly expected: string;
  /** Whether a value is allowed. */
  readonly accepts: (value: unknown) => boolean;
}

const isNumber = (value: unknown): value is number => typeof value === "number" && !Number.isNaN(value);
const key = <Value>(fallback: Value, expected: string, accepts: (value: unknown) => boolean): ConfigValue<Value> => ({
  fallback,
  expected,
  accepts,
});
const flag = (fallback: boolean) => key(fallback, "true or false", (value) => typeof value === "boolean");
const number = (fallback: number) => key(fallback, "a number", isNumber);
const positive = (fallback: number) => key(fallback, "a number above 0", (value) => isNumber(value) && value > 0);
const count = (fallback: number) =>
  key(fallback, "a whole number, 1 or more", (value) => Number.isSafeInteger(value) && (value as number) >= 1);
const numberOrNull = key<number | null>(null, "a number or null", (value) => value === null || isNumber(value));
const oneOf = <const Value extends string>(fallback: NoInfer<Value>, ...values: readonly Value[]): ConfigValue<Value> =>
  key<Value>(fallback, `one of ${values.join(", ")}`, (value) => values.includes(value as Value));

/** More noise levels than a network can tell apart; published models have 1000, a few 4000. */
const MOST_TIMESTEPS = 1_000_000;

/** Calls at each noise level; published samplers make one. */
const MOST_CORRECT_STEPS = 100;

/**
 * Every key of a public `scheduler_config.json` that a method here reads, with its default (a method can have its own)
 * and its allowed values.
 */
const KEYS = {
  /** T, the number of noise levels a network is trained on. */
  num_train_timesteps: key(
    1000,
    `a whole number from 1 to ${MOST_TIMESTEPS}`,
    (value) => Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MOST_TIMESTEPS,
  ),
  beta_start: number(0.0001),
  beta_end: number(0.02),
  beta_schedule: oneOf("linear", "linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "exp", "laplace"),
  /** The betas themselves; num_train_timesteps, beta_start, beta_end and beta_schedule are then unused. */
  trained_betas: key<readonly number[] | null>(
    null,
    "a list of numbers from 0 to 1, or null",
    (value) =>
      value === null ||
      (Array.isArray(value) && value.length > 0 && value.every((beta) => isNumber(beta) && beta >= 0 && beta <= 1)),
  ),
  /** Change the betas so that the last noise level is pure noise (Lin et al. 2024, algorithm 1). */
  rescale_betas_zero_snr: flag(false),
  /** What the network's output means; see `PredictionType`. */
  prediction_type: oneOf("epsilon", "epsilon", "sample", "v_prediction", "flow_prediction"),
  /** Clip predicted clean samples to clip_sample_range. */
  clip_sample: flag(false),
  clip_sample_range: positive(1),
  /** Dynamic thresholding of predicted clean samples (Saharia et al. 2022). */
  thresholding: flag(false),
  dynamic_thresholding_ratio: key(
    0.995,
    "a number from 0 to 1",
    (value) => isNumber(value) && value >= 0 && value <= 1,
  ),
  sample_max_value: positive(1),
  timestep_spacing: oneOf("leading", "leading", "trailing", "linspace"),
  /** Added to every timestep of the "leading" spacing; Stable Diffusion uses 1. */
  steps_offset: key(0, "a whole number, 0 or more", (value) => Number.isSafeInteger(value) && (value as number) >= 0),
  /** End at alphaBar 1 (a clean sample) rather than at that of timestep 0. */
  set_alpha_to_one: flag(true),
  /** How much fresh noise a step adds. The learned types read it from the second half of the output channels. */
  variance_type: key<VarianceType | null>(
    "fixed_small",
    "one of fixed_small, fixed_small_log, fixed_large, fixed_large_log, learned, learned_range, or null",
    (value) => value === null || VARIANCE_TYPES.includes(value as VarianceType),
  ),
  /** PNDM: start without Runge-Kutta steps; true for Stable Diffusion. */
  skip_prk_steps: flag(false),
  /** Noise levels by Karras et al. 2022, eq. 5. */
  use_karras_sigmas: flag(false),
  /** Noise levels evenly spaced in log sigma. */
  use_exponential_sigmas: flag(false),
  /** Noise levels by quantiles of the beta distribution (Lee et al. 2024). */
  use_beta_sigmas: flag(false),
  /** Noise levels evenly spaced in log signal-to-noise ratio, over the whole trained range (Lu et al. 2022). */
  use_lu_lambdas: flag(false),
  /** Noise levels of a flow-matching model: x = (1 - sigma) x0 + sigma epsilon. */
  use_flow_sigmas: flag(false),
  /** Moves flow noise levels up, for larger pictures (Esser et al. 2024, eq. 23). */
  flow_shift: positive(1),
  /** Range of the Karras, exponential and beta noise levels; null means the trained range. */
  sigma_min: numberOrNull,
  sigma_max: numberOrNull,
  /** The last noise level: 0, or the lowest trained one. */
  final_sigmas_type: oneOf("zero", "zero", "sigma_min"),
  interpolation_type: oneOf("linear", "linear", "log_linear"),
  /** The time input of a v_prediction network: the timestep, or ln(sigma) / 4. */
  timestep_type: oneOf("discrete", "discrete", "continuous"),
  solver_order: key(2, "1, 2 or 3", (value) => value === 1 || value === 2 || value === 3),
  predictor_order: key(2, "1, 2, 3 or 4", (value) => [1, 2, 3, 4].includes(value as number)),
  corrector_order: key(2, "1, 2, 3 or 4", (value) => [1, 2, 3, 4].includes(value as number)),
  /** Which equation a solver integrates. A value of another method means the method's own default. */
  algorithm_type: oneOf(
    "dpmsolver++",
    "dpmsolver++",
    "dpmsolver",
    "sde-dpmsolver++",
    "sde-dpmsolver",
    "deis",
    "data_prediction",
    "noise_prediction",
  ),
  /** How a solver of order 2 or more estimates slopes. A value of another method means the method's own default. */
  solver_type: oneOf("midpoint", "midpoint", "heun", "logrho", "bh1", "bh2"),
  /** With few steps: lower the order at the end, where high orders are unstable. */
  lower_order_final: flag(true),
  /** Make the last step one of first order. */
  euler_at_final: flag(false),
  /**
   * Leave out noise levels with log(alpha / sigma) below this. null, JSON's way to write minus infinity, keeps all.
   */
  lambda_min_clipped: numberOrNull,
  /** UniPC: integrate the clean sample instead of the noise. */
  predict_x0: flag(true),
  /** UniPC: steps whose result is not corrected. */
  disable_corrector: key<readonly number[]>(
    [],
    "a list of step numbers",
    (value) => Array.isArray(value) && value.every((step) => Number.isSafeInteger(step)),
  ),
  /** UniPC: predict with another solver. Only null, the published value, is supported. */
  solver_p: key<null>(null, "null", (value) => value === null),
  /** SA-Solver: share of noise by timestep. Only null is supported: 1 from t = 200 to 800, otherwise 0. */
  tau_func: key<null>(null, "null", (value) => value === null),
  /** LCM and TCD: number of steps of the sampler that was distilled. */
  original_inference_steps: count(50),
  timestep_scaling: positive(10),
  /** RePaint: share of fresh noise in the repainted region. */
  eta: number(0),
  /** EDM and consistency models: standard deviation of the data. */
  sigma_data: positive(0.5),
  sigma_schedule: oneOf("karras", "karras", "exponential"),
  rho: positive(7),
  s_noise: number(1),
  clip_denoised: flag(true),
  /** Flow matching: as flow_shift. */
  shift: positive(1),
  /** Flow matching: the shift is given with the plan, as mu. */
  use_dynamic_shifting: flag(false),
  time_shift_type: oneOf("exponential", "exponential", "linear"),
  base_shift: number(0.5),
  max_shift: number(1.15),
  base_image_seq_len: count(256),
  max_image_seq_len: count(4096),
  /** Flow matching: stretch the noise levels so that the last one has this value. */
  shift_terminal: numberOrNull,
  invert_sigmas: flag(false),
  stochastic_sampling: flag(false),
  /** Score SDE: signal-to-noise ratio of the corrector. */
  snr: positive(0.15),
  sampling_eps: positive(1e-5),
  correct_steps: key(
    1,
    `a whole number from 0 to ${MOST_CORRECT_STEPS}`,
    (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_CORRECT_STEPS,
  ),
  beta_min: number(0.1),
  beta_max: number(20),
  /** DPM-Solver SDE: accepted but unused; noise comes from the argument `noise` of `plan.step`. */
  noise_sampler_seed: numberOrNull,
} satisfies Record<string, ConfigValue>;

const VARIANCE_TYPES = [
  "fixed_small",
  "fixed_small_log",
  "fixed_large",
  "fixed_large_log",
  "learned",
  "learned_range",
] as const;
/**
 * The variance of a step of DDPM: fixed (Ho et al. 2020, section 3.2) or learned (Nichol & Dhariwal 2021, eq. 15).
 */
export type VarianceType = (typeof VARIANCE_TYPES)[number];

/** Keys of old versions and of other software, which no method uses. */
const IGNORED = ["predict_epsilon", "tensor_format", "set_alpha_to_zero", "timestep_values", "timesteps", "skip_type"];

/** Keys that some scheduler's `scheduler_config.json` may have. */
export type ConfigKey = keyof typeof KEYS;
type AllKeys = { [Name in ConfigKey]: (typeof KEYS)[Name]["fallback"] };
/** A config with some of the keys. */
export type ConfigOf<Name extends ConfigKey> = { [K in Name]: AllKeys[K] };

/** The description of a method's config. */
export interface ConfigSpec<Name extends ConfigKey = ConfigKey> {
  /** `_class_name` of the config. */
  readonly className: string;
  /** The public keys that the method reads. */
  readonly keys: readonly Name[];
  /** The method's defaults, where they differ from the usual ones. */
  readonly defaults: Partial<ConfigOf<Name>>;
  /** Keys that no public config has, for your own methods; `this.config` has their values. */
  readonly ownKeys?: Readonly<Record<string, ConfigValue>>;
}

/** Keys of the betas, which every method on trained timesteps has. */
export const BETA_KEYS = ["num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"] as const;
/** Keys of dynamic thresholding (Saharia et al. 2022). */
export const THRESHOLDING_KEYS = ["thresholding", "dynamic_thresholding_ratio", "sample_max_value"] as const;
/** Keys that clip the predicted x0 to a range. */
export const CLIPPING_KEYS = ["clip_sample", "clip_sample_range"] as const;
/** Keys that say which trained timesteps are visited. */
export const SPACING_KEYS = ["timestep_spacing", "steps_offset"] as const;
/** Keys that compute the noise levels by a formula instead of taking trained ones. */
export const SIGMA_SCHEDULE_KEYS = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"] as const;

/** The value of every key: from the method's config, or a neutral value if the method does not have the key. */
export type Settings = Readonly<AllKeys>;

/**
 * A method's config: its own keys, given or by default. Keys of other methods are kept, so that nothing is lost if
 * `_class_name` is changed and changed back; `settings` does not contain them.
 *
 * @throws SchedulerConfigError for a key that no method has, and for a value that its key does not allow
 */
export function readConfig<Name extends ConfigKey>(
  { className, keys, defaults, ownKeys = {} }: ConfigSpec<Name>,
  given: object,
): { config: Readonly<ConfigOf<Name> & { _class_name: string }>; settings: Settings } {
  const config: Record<string, unknown> = { _class_name: className };
  for (const name of keys) config[name] = Object.hasOwn(defaults, name) ? defaults[name] : KEYS[name].fallback;
  for (const [name, { fallback }] of Object.entries(ownKeys)) config[name] = fallback;
  const known: Readonly<Record<string, ConfigValue>> = { ...KEYS, ...ownKeys };
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("_") || IGNORED.includes(name) || value === undefined) continue;
    if (!Object.hasOwn(known, name)) {
      throw new SchedulerConfigError(
        `${className}: ${name} is not a key of any scheduler; the keys of this one are ${[...keys, ...Object.keys(ownKeys)].join(", ")}. ` +
          "Remove it, or correct its name.",
      );
    }
    const { expected, accepts } = known[name]!;
    if (!accepts(value)) {
      throw new SchedulerConfigError(`${className}: ${name} is ${shown(value)}; it must be ${expected}.`);
    }
    config[name] = value;
  }
  const settings: Record<string, unknown> = Object.fromEntries(
    Object.entries(KEYS).map(([name, { fallback }]) => [name, keys.includes(name as Name) ? config[name] : fallback]),
  );
  if (keys.includes("beta_schedule" as Name) && settings["trained_betas"]) {
    settings["num_train_timesteps"] = (settings["trained_betas"] as number[]).length;
  }
  return {
    config: Object.freeze(config) as ReturnType<typeof readConfig<Name>>["config"],
    settings: settings as unknown as Settings,
  };
}

/**
 * The public keys of a scheduler's config, from which a scheduler of another class can be built. `ownKeys` are left
 * out.
 */
export function publicConfig(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([name]) => Object.hasOwn(KEYS, name)));
}

/**
 * For a method that supports only some values of a key.
 * @throws SchedulerConfigError unless `value` is one of `allowed`
 */
export function requireOneOf(className: string, key: ConfigKey, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) {
    throw new SchedulerConfigError(`${className}: ${key} is ${shown(value)}; it must be one of ${allowed.join(", ")}.`);
  }
}
