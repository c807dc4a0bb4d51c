import type * as tf from "@tensorflow/tfjs";
import { combine } from "../combine.js";
import { BETA_KEYS, type ConfigOf, SIGMA_SCHEDULE_KEYS, SPACING_KEYS } from "../config.js";
import type { Call } from "../plan.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import type { TrainingRule } from "../training.js";
import { exponentialSigmas } from "../sigma-schedule.js";
import { type NoiseLevels, SigmaScheduler, slopeAt } from "../sigma-scheduler.js";

const KEYS = [
  ...BETA_KEYS,
  ...SPACING_KEYS,
  ...SIGMA_SCHEDULE_KEYS,
  "prediction_type",
  "interpolation_type",
  "sigma_min",
  "sigma_max",
  "timestep_type",
  "rescale_betas_zero_snr",
  "final_sigmas_type",
] as const;

/** Keys of EulerDiscreteScheduler's config, all with defaults. */
export type EulerDiscreteConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Euler's method on the probability flow (Karras et al. 2022, algorithm 2 without the correction; eq. 5 for the noise
 * levels).
 */
export class EulerDiscreteScheduler extends SigmaScheduler<EulerDiscreteConfig> {
  constructor(config: Partial<EulerDiscreteConfig> = {}) {
    super({ className: "EulerDiscreteScheduler", keys: KEYS, defaults: { timestep_spacing: "linspace" } }, config);
  }

  plan(request: PlanRequest): Plan {
    const { timesteps, sigmas } = this.levels(request);
    return this.sigmaPlan({
      timesteps,
      sigmas,
      update: (call) => {
        const { x, sigma } = churn(call, sigmas);
        // The network predicted v for x before churn, at the level `sigma`.
        const seen = this.settings.prediction_type === "v_prediction" ? sigmas[call.i]! : sigma;
        const d = slopeAt(x, this.denoised(call.output, x, seen), sigma);
        return { x: combine([1, x], [sigmas[call.i + 1]! - sigma, d]) };
      },
    });
  }

  /** With timestep_type "continuous" the network gets ln(sigma) / 4, as in sampling, instead of the timestep. */
  override get training(): TrainingRule {
    const rule = super.training;
    if (!this.#isContinuous) return rule;
    return { ...rule, at: (t) => ({ ...rule.at(t), timestep: toldLevel(this.levelAt(t).sigma) }) };
  }

  protected override levels(request: PlanRequest): NoiseLevels {
    const levels = super.levels(request);
    const given = typeof request === "object" && "sigmas" in request;
    if (this.#isLogLinear && !given && !SIGMA_SCHEDULE_KEYS.some((name) => this.settings[name])) {
      const { max, min } = this.trainedRange;
      const spread = exponentialSigmas(levels.timesteps.length + 1, max, min).map(Math.fround);
      return { timesteps: levels.timesteps, sigmas: [...spread, levels.sigmas.at(-1)!] };
    }
    return this.#isContinuous ? { ...levels, timesteps: levels.sigmas.slice(0, -1).map(toldLevel) } : levels;
  }

  /** With interpolation in log sigma, the levels span the trained range for any timesteps. */
  protected override rangeOf(spaced: readonly number[]) {
    return this.#isLogLinear ? this.trainedRange : super.rangeOf(spaced);
  }

  get #isContinuous(): boolean {
    return this.settings.timestep_type === "continuous" && this.settings.prediction_type === "v_prediction";
  }

  get #isLogLinear(): boolean {
    return this.settings.interpolation_type === "log_linear";
  }
}

/** The time input of a network for continuous noise levels. */
const toldLevel = (sigma: number): number => Math.fround(Math.log(sigma) / 4);

/**
 * Adds fresh noise to x before a step, which raises its noise level by the factor 1 + gamma (Karras et al. 2022,
 * algorithm 2, lines 4 to 6).
 */
export function churn(
  { x, i, fresh, options }: Pick<Call, "x" | "i" | "fresh" | "options">,
  sigmas: readonly number[],
): { x: tf.Tensor; sigma: number } {
  const { s_churn = 0, s_tmin = 0, s_tmax = Infinity, s_noise = 1 } = options;
  const sigma = sigmas[i]!;
  const steps = sigmas.length - 1;
  const gamma = s_tmin <= sigma && sigma <= s_tmax ? Math.min(s_churn / steps, Math.SQRT2 - 1) : 0;
  if (gamma === 0) return { x, sigma };
  const raised = sigma * (1 + gamma);
  return { x: combine([1, x], [s_noise * Math.sqrt(raised ** 2 - sigma ** 2), fresh()]), sigma: raised };
}
