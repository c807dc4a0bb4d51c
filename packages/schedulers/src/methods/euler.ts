import type * as tf from "@tensorflow/tfjs";
import { combine, type Quantity, type Sum, sum } from "../combine.js";
import { BETA_KEYS, type ConfigOf, SIGMA_SCHEDULE_KEYS, SPACING_KEYS } from "../config.js";
import { type Call, makePlan } from "../plan.js";
import { x0Of } from "../prediction.js";
import type { Plan, PlanRequest, StepOptions } from "../scheduler.js";
import type { TrainingRule } from "../training.js";
import { exponentialSigmas } from "../sigma-schedule.js";
import { inputScaleOf, type NoiseLevels, SigmaScheduler } from "../sigma-scheduler.js";

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
    const { prediction_type } = this.settings;
    return makePlan({
      timesteps,
      sigmas,
      initNoiseSigma: this.initNoiseSigma(sigmas),
      level: (i) => this.sigmaLevel(sigmas[i]!),
      inputScale: (i) => inputScaleOf(sigmas[i]!),
      update: (call) => {
        const { x, sigma } = churn(call, sigmas);
        // v and x were measured at the level the network saw, which churning has left.
        const x0 = x0Of(prediction_type, call.output, x, {
          alpha: 1,
          sigma: prediction_type === "v_prediction" ? sigmas[call.i]! : sigma,
        });
        return { x: combine([1, eulerStep(x, x0, sigma, sigmas[call.i + 1]!)]) };
      },
    });
  }

  /** Told the level where the sampler tells it, and not the timestep. */
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

  /** Interpolated in the logarithm, the levels span the trained range, whatever the timesteps. */
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

/** What a network for continuous levels is told of one. */
const toldLevel = (sigma: number): number => Math.fround(Math.log(sigma) / 4);

/** The slope of the probability flow, dx / dsigma = (x - x0) / sigma (Karras et al. 2022, eq. 3). */
export function slopeAt(x: tf.Tensor, x0: Quantity, sigma: number): Sum {
  return sum([1 / sigma, sum([1, x], [-1, x0])]);
}

/** From sigma to `next` along the slope. */
export function eulerStep(x: tf.Tensor, x0: Quantity, sigma: number, next: number): Sum {
  return sum([1, x], [next - sigma, slopeAt(x, x0, sigma)]);
}

/**
 * Adds fresh noise before a step, which raises sigma by the factor 1 + gamma (Karras et al. 2022, algorithm 2, lines 4
 * to 6).
 */
export function churn(
  { x, i, fresh, options }: Pick<Call, "x" | "i" | "fresh" | "options">,
  sigmas: readonly number[],
): { x: tf.Tensor; sigma: number } {
  const sigma = sigmas[i]!;
  const gamma = churnGamma(options, sigma, sigmas.length - 1);
  if (gamma === 0) return { x, sigma };
  const raised = sigma * (1 + gamma);
  return { x: combine([1, x], [(options.s_noise ?? 1) * Math.sqrt(raised ** 2 - sigma ** 2), fresh()]), sigma: raised };
}

function churnGamma({ s_churn = 0, s_tmin = 0, s_tmax = Infinity }: StepOptions, sigma: number, steps: number): number {
  return s_tmin <= sigma && sigma <= s_tmax ? Math.min(s_churn / steps, Math.SQRT2 - 1) : 0;
}
