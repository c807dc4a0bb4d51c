import { type Scheduler, schedulerClasses, schedulerFromConfig, sigmaOf } from "@tfjs-diffusion/schedulers";

/** Keys of a scheduler's config. */
type Keys = Readonly<Record<string, unknown>>;

const NO_SPACING: Keys = {
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
};

/**
 * AUTOMATIC1111's samplers, as the documentation of diffusers translates their names. Its DPM++ SDE and DPM2 a draw
 * with another random generator, so their pictures differ.
 */
export const SAMPLERS: Readonly<Record<string, Keys>> = {
  "DPM++ 2M": { _class_name: "DPMSolverMultistepScheduler", algorithm_type: "dpmsolver++", solver_order: 2 },
  "DPM++ SDE": { _class_name: "DPMSolverSDEScheduler" },
  "DPM++ 2M SDE": { _class_name: "DPMSolverMultistepScheduler", algorithm_type: "sde-dpmsolver++", solver_order: 2 },
  "DPM++ 3M SDE": { _class_name: "DPMSolverMultistepScheduler", algorithm_type: "sde-dpmsolver++", solver_order: 3 },
  "Euler a": { _class_name: "EulerAncestralDiscreteScheduler" },
  Euler: { _class_name: "EulerDiscreteScheduler" },
  LMS: { _class_name: "LMSDiscreteScheduler" },
  Heun: { _class_name: "HeunDiscreteScheduler" },
  DPM2: { _class_name: "KDPM2DiscreteScheduler" },
  "DPM2 a": { _class_name: "KDPM2AncestralDiscreteScheduler" },
  DDIM: { _class_name: "DDIMScheduler" },
  PLMS: { _class_name: "PNDMScheduler", skip_prk_steps: true },
  UniPC: { _class_name: "UniPCMultistepScheduler" },
  LCM: { _class_name: "LCMScheduler" },
};

/** Its schedule types: where the steps lie. "Automatic" leaves that to the model. */
export const SPACINGS: Readonly<Record<string, { label: string; keys: Keys }>> = {
  automatic: { label: "Automatic", keys: {} },
  uniform: { label: "Uniform", keys: { ...NO_SPACING, timestep_spacing: "linspace" } },
  karras: { label: "Karras", keys: { ...NO_SPACING, use_karras_sigmas: true } },
  exponential: { label: "Exponential", keys: { ...NO_SPACING, use_exponential_sigmas: true } },
  sgm_uniform: { label: "SGM Uniform", keys: { ...NO_SPACING, timestep_spacing: "trailing" } },
  beta: { label: "Beta", keys: { ...NO_SPACING, use_beta_sigmas: true } },
};

/** A model's own scheduler with other keys. Throws the scheduler's error if it cannot plan such steps. */
export function schedulerWith(own: Scheduler, keys: Keys, steps: number): Scheduler {
  const scheduler = schedulerFromConfig({ ...own.config, ...keys });
  scheduler.plan(steps);
  return scheduler;
}

/** Noise levels above this are almost pure noise: some samplers diverge at a first step from there. */
const PURE_NOISE = 1000;

/** The names of {@link SAMPLERS} that work with a model's noise schedule. */
export function samplersFor(own: Scheduler, steps: number): string[] {
  const isPure = sigmaOf(own.alphaBar.at(-1) ?? 1) > PURE_NOISE;
  return Object.keys(SAMPLERS).filter((name) => {
    const { traits } = schedulerClasses[String(SAMPLERS[name]!._class_name)]!;
    try {
      schedulerWith(own, SAMPLERS[name]!, steps);
      return !(isPure && traits?.divergesFromPureNoise);
    } catch {
      return false;
    }
  });
}

/** The name of a scheduler, or its class if it has no such name. */
export function samplerNameOf({ config }: Scheduler): string {
  const fits = (keys: Keys) => Object.entries(keys).every(([key, value]) => config[key as "_class_name"] === value);
  return Object.keys(SAMPLERS).find((name) => fits(SAMPLERS[name]!)) ?? String(config._class_name);
}
