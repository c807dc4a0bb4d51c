import type * as tf from "@tensorflow/tfjs";
import { combine, computed, type Sum, sum } from "../combine.js";
import type { ConfigOf } from "../config.js";
import { SchedulerConfigError } from "../errors.js";
import { makePlan } from "../plan.js";
import type { Level } from "../prediction.js";
import { BaseScheduler, type Plan, type PlanRequest } from "../scheduler.js";
import { karrasSigmas } from "../sigma-schedule.js";
import type { TrainingRule } from "../training.js";
import { requireRequest, requireStepCount, requireTimesteps } from "../spacing.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [
  "num_train_timesteps",
  "sigma_min",
  "sigma_max",
  "sigma_data",
  "s_noise",
  "rho",
  "clip_denoised",
] as const;
const DEFAULTS = { num_train_timesteps: 40, sigma_min: 0.002, sigma_max: 80 } as const;

/** Keys of CMStochasticIterativeScheduler's config, all with defaults. */
export type CMStochasticIterativeConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Multi-step consistency sampling (Song et al. 2023, algorithm 1): the network predicts the clean sample, and noise is
 * added to continue from a lower level. `plan({ timesteps })` takes indices of the config's T levels; T - 1 is the
 * noisiest.
 */
export class CMStochasticIterativeScheduler extends BaseScheduler<CMStochasticIterativeConfig> {
  static override readonly traits: SchedulerTraits = { network: "consistency", stochastic: true };
  readonly alphaBar: Float64Array;
  readonly #sigmas: readonly number[];

  constructor(config: Partial<CMStochasticIterativeConfig> = {}) {
    super({ className: "CMStochasticIterativeScheduler", keys: KEYS, defaults: DEFAULTS }, config);
    const { num_train_timesteps: T, sigma_max, sigma_min, rho } = this.settings;
    this.#sigmas = karrasSigmas(T, sigma_max!, sigma_min!, rho).reverse();
    this.alphaBar = Float64Array.from(this.#sigmas, (sigma) => 1 / (1 + sigma ** 2));
  }

  /** Consistency models are distilled; no regression on noisy samples trains them. */
  get training(): TrainingRule {
    throw new SchedulerConfigError(
      "CMStochasticIterativeScheduler: its networks are distilled, not trained on noisy samples. " +
        "Train one with EDMEulerScheduler, and distil it.",
    );
  }

  protected levelAt(t: number): Level {
    return { alpha: 1, sigma: Math.exp((4 * t) / 1000) };
  }

  plan(request: PlanRequest): Plan {
    const { num_train_timesteps: T, sigma_min, sigma_max, sigma_data, s_noise, clip_denoised } = this.settings;
    const { steps, timesteps: named } = requireRequest(request, "steps", "timesteps");
    if (named) requireTimesteps(named, T);
    else requireStepCount(steps, T);
    // diffusers maps indices to levels in the opposite order: the noisiest level visited is always T - 1 minus the
    // lowest index.
    const numbers = named ?? Array.from({ length: steps! }, (_, i) => (steps! - 1 - i) * Math.floor(T / steps!));
    const visited = [...numbers].reverse().map((number) => this.#sigmas[T - 1 - number]!);
    const sigmas = [...visited, sigma_min!].map(Math.fround);
    return makePlan({
      timesteps: visited.map((sigma) => 250 * Math.log(sigma)),
      sigmas,
      initNoiseSigma: sigma_max!,
      level: (i) => ({ alpha: 1, sigma: sigmas[i]! }),
      inputScale: (i) => 1 / Math.hypot(sigmas[i]!, sigma_data),
      update: ({ x, output, i, fresh }) => {
        const jumped = this.#jump(output, x, sigmas[i]!);
        const x0 = clip_denoised ? computed(jumped).clipByValue(-1, 1) : jumped;
        if (visited.length === 1) return { x: computed(x0) };
        const next = Math.min(Math.max(sigmas[i + 1]!, sigma_min!), sigma_max!);
        return { x: combine([1, x0], [s_noise * Math.sqrt(Math.max(next ** 2 - sigma_min! ** 2, 0)), fresh()]) };
      },
    });
  }

  /** The clean sample: c_skip and c_out make the network the identity at sigma_min (their eq. 5 and appendix C). */
  #jump(output: tf.Tensor, x: tf.Tensor, sigma: number): Sum {
    const { sigma_min, sigma_data } = this.settings;
    const above = sigma - sigma_min!;
    const skip = sigma_data ** 2 / (above ** 2 + sigma_data ** 2);
    const out = (above * sigma_data) / Math.hypot(sigma, sigma_data);
    return sum([out, output], [skip, x]);
  }

  /** The clean sample that an output implies for x; the caller owns it. */
  override predictX0(output: tf.Tensor, x: tf.Tensor, { sigma }: Level): tf.Tensor {
    return computed(this.#jump(output, x, sigma));
  }
}
