import type * as tf from "@tensorflow/tfjs";
import { combine, computed, type Quantity, type Sum, sum } from "../combine.js";
import { type ConfigOf, type ConfigSpec, requireOneOf, THRESHOLDING_KEYS } from "../config.js";
import { multistepPlan } from "./dpm-solver.js";
import { requireDataPrediction } from "./dpm-algorithm.js";
import { churn } from "./euler.js";
import type { Algorithm } from "../numerics/exponential-integrator.js";
import { makePlan } from "../plan.js";
import type { Level } from "../prediction.js";
import { BaseScheduler, type Plan, type PlanRequest } from "../scheduler.js";
import { exponentialSigmas, karrasSigmas, karrasSigmas32 } from "../sigma-schedule.js";
import { type NoiseLevels, slopeAt } from "../sigma-scheduler.js";
import { edmLevel, logNormalSigmas, type TrainingRule } from "../training.js";
import { requireRequest, requireSigmas, requireStepCount } from "../spacing.js";
import { limited } from "../numerics/thresholding.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [
  "sigma_min",
  "sigma_max",
  "sigma_data",
  "sigma_schedule",
  "num_train_timesteps",
  "prediction_type",
  "rho",
  "final_sigmas_type",
] as const;
const DEFAULTS = { sigma_min: 0.002, sigma_max: 80 } as const;
const SOLVER_KEYS = [
  ...KEYS,
  ...THRESHOLDING_KEYS,
  "solver_order",
  "algorithm_type",
  "solver_type",
  "lower_order_final",
  "euler_at_final",
] as const;

/** Keys of EDMEulerScheduler's config, all with defaults. */
export type EDMEulerConfig = ConfigOf<(typeof KEYS)[number]>;
/** Keys of EDMDPMSolverMultistepScheduler's config, all with defaults. */
export type EDMDPMSolverMultistepConfig = ConfigOf<(typeof SOLVER_KEYS)[number]>;

/**
 * The design of Karras et al. 2022, table 1, right column: x = x0 + sigma epsilon, and a network F whose input and
 * output are scaled to variance 1: D(x) = c_skip x + c_out F(c_in x; ln(sigma) / 4).
 */
abstract class EDMScheduler<Config extends object> extends BaseScheduler<Config> {
  static override readonly traits: SchedulerTraits = { network: "edm", stochastic: false };
  readonly alphaBar: Float64Array;

  constructor(
    spec: ConfigSpec,
    config: object,
    private readonly karras: typeof karrasSigmas,
  ) {
    super(spec, config);
    const { prediction_type, num_train_timesteps: T } = this.settings;
    requireOneOf(this.config._class_name, "prediction_type", prediction_type, ["epsilon", "v_prediction"]);
    this.alphaBar = Float64Array.from(this.#spread(T).reverse(), (sigma) => 1 / (1 + sigma ** 2));
  }

  /** Times are noise levels; their logarithms are normally distributed. */
  get training(): TrainingRule {
    const { sigma_data, prediction_type } = this.settings;
    const sign = prediction_type === "v_prediction" ? -1 : 1;
    return {
      predicts: "preconditioned",
      drawTime: logNormalSigmas(),
      at: (sigma) => edmLevel(sigma, sigma_data, sign),
    };
  }

  protected levelAt(t: number): Level {
    return { alpha: 1, sigma: Math.exp(4 * t) };
  }

  /** The noise levels of a request, as the config spaces them. */
  protected levels(request: PlanRequest): NoiseLevels {
    const { num_train_timesteps: T, final_sigmas_type, sigma_min } = this.settings;
    const { steps, sigmas: given } = requireRequest(request, "steps", "sigmas");
    if (given) requireSigmas(given);
    else requireStepCount(steps, T);
    const levels = given ?? this.#spread(steps!);
    const end = final_sigmas_type === "zero" ? 0 : sigma_min!;
    const sigmas = (given ?? [...levels, end]).map(Math.fround);
    return { sigmas, timesteps: sigmas.slice(0, -1).map((sigma) => Math.fround(Math.log(sigma) / 4)) };
  }

  #spread(n: number): number[] {
    const { sigma_schedule, sigma_max, sigma_min, rho } = this.settings;
    if (sigma_schedule === "karras") return this.karras(n, sigma_max!, sigma_min!, rho);
    return exponentialSigmas(n, sigma_min!, sigma_max!).reverse(); // As published, a plan of one step visits the lowest level.
  }

  /** The parts that both plans share. The first x has the variance of the noise plus that of the data. */
  protected scaling(sigmas: readonly number[]) {
    const { sigma_data, sigma_max } = this.settings;
    return {
      initNoiseSigma: Math.hypot(sigma_max!, 1),
      /** c_in, the factor from x to the network's input in call i. */
      inputScale: (i: number) => 1 / Math.hypot(sigmas[i]!, sigma_data),
    };
  }

  /** D(x; sigma), the clean sample. */
  protected denoised(output: tf.Tensor, x: tf.Tensor, sigma: number): Quantity {
    return limited(this.#denoised(output, x, sigma), this.settings);
  }

  #denoised(output: tf.Tensor, x: tf.Tensor, sigma: number): Sum {
    const { sigma_data: d, prediction_type } = this.settings;
    const sign = prediction_type === "v_prediction" ? -1 : 1;
    return sum([d ** 2 / (sigma ** 2 + d ** 2), x], [(sign * sigma * d) / Math.hypot(sigma, d), output]);
  }

  /** The clean sample that an output implies for x; the caller owns it. */
  override predictX0(output: tf.Tensor, x: tf.Tensor, { sigma }: Level): tf.Tensor {
    return computed(this.#denoised(output, x, sigma));
  }
}

/** Euler's method, with optional churn (Karras et al. 2022, algorithm 2 without its second half). */
export class EDMEulerScheduler extends EDMScheduler<EDMEulerConfig> {
  constructor(config: Partial<EDMEulerConfig> = {}) {
    super({ className: "EDMEulerScheduler", keys: KEYS, defaults: DEFAULTS }, config, karrasSigmas);
  }

  plan(request: PlanRequest): Plan {
    const { timesteps, sigmas } = this.levels(request);
    return makePlan({
      timesteps,
      sigmas,
      ...this.scaling(sigmas),
      level: (i) => ({ alpha: 1, sigma: sigmas[i]! }),
      update: (call) => {
        const { x, sigma } = churn(call, sigmas);
        const d = slopeAt(x, this.denoised(call.output, x, sigma), sigma);
        return { x: combine([1, x], [sigmas[call.i + 1]! - sigma, d]) };
      },
    });
  }
}

/** DPM-Solver++ with the same parametrisation: alpha = 1 and lambda = -log(sigma). */
export class EDMDPMSolverMultistepScheduler extends EDMScheduler<EDMDPMSolverMultistepConfig> {
  readonly #algorithm: Algorithm;

  constructor(config: Partial<EDMDPMSolverMultistepConfig> = {}) {
    super(
      { className: "EDMDPMSolverMultistepScheduler", keys: SOLVER_KEYS, defaults: DEFAULTS },
      config,
      karrasSigmas32,
    );
    this.#algorithm = requireDataPrediction(this.config._class_name, this.settings);
    if (this.#algorithm.predicts === "epsilon")
      requireOneOf(this.config._class_name, "algorithm_type", this.settings.algorithm_type, [
        "dpmsolver++",
        "sde-dpmsolver++",
      ]);
  }

  override get traits(): SchedulerTraits {
    return { ...super.traits, stochastic: this.#algorithm.stochastic };
  }

  plan(request: PlanRequest): Plan {
    const noiseLevels = this.levels(request);
    const levels = noiseLevels.sigmas.map((sigma) => ({ alpha: 1, sigma, lambda: -Math.log(sigma) }));
    const method = {
      ...this.settings,
      algorithm: this.#algorithm,
      outputOf: ({ output, x }: { output: tf.Tensor; x: tf.Tensor }, { sigma }: Level) =>
        this.denoised(output, x, sigma),
    };
    return multistepPlan(noiseLevels, levels, method, this.scaling(noiseLevels.sigmas));
  }
}
