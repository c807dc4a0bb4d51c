import { combine, sum } from "../combine.js";
import { BETA_KEYS, CLIPPING_KEYS, type ConfigOf, SPACING_KEYS, THRESHOLDING_KEYS } from "../config.js";
import { makePlan } from "../plan.js";
import { levelOf, x0Of } from "../prediction.js";
import { sigmaOf } from "../schedule.js";
import type { Plan, PlanOptions, PlanRequest } from "../scheduler.js";
import { requireRequest, requireStepCount, requireTimesteps } from "../spacing.js";
import { limited } from "../numerics/thresholding.js";
import { TrainedScheduler } from "../trained.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [
  ...BETA_KEYS,
  ...CLIPPING_KEYS,
  ...THRESHOLDING_KEYS,
  ...SPACING_KEYS,
  "original_inference_steps",
  "set_alpha_to_one",
  "prediction_type",
  "timestep_scaling",
  "rescale_betas_zero_snr",
] as const;
const DEFAULTS = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" } as const;

/** Keys of LCMScheduler's config, all with defaults. */
export type LCMConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * A scheduler for a network that was distilled to make few large steps. It visits some of the timesteps of its
 * teacher's sampler.
 */
export abstract class DistilledScheduler extends TrainedScheduler<LCMConfig> {
  static override readonly traits: SchedulerTraits = { network: "distilled", stochastic: true };
  constructor(className: string, config: object) {
    super({ className, keys: KEYS, defaults: DEFAULTS }, config);
  }

  /** The timesteps: an even selection of the teacher's, the noisiest first. */
  protected jumps(request: PlanRequest, { original_inference_steps }: PlanOptions = {}): number[] {
    const T = this.settings.num_train_timesteps;
    const { steps, timesteps } = requireRequest(request, "steps", "timesteps");
    if (timesteps) {
      requireTimesteps(timesteps, T);
      return [...timesteps];
    }
    requireStepCount(steps, T);
    const taught = original_inference_steps ?? this.settings.original_inference_steps;
    if (!(Number.isInteger(taught) && steps <= taught && taught <= T)) {
      throw new RangeError(
        `plan(${steps}): ${this.config._class_name} visits timesteps of a teacher with ${taught} steps (original_inference_steps); ` +
          `plan at most as many (1 to 8 are usual), of a teacher with at most ${T}.`,
      );
    }
    const stride = Math.floor(T / taught);
    return Array.from({ length: steps }, (_, i) => (taught - Math.floor((i * taught) / steps)) * stride - 1);
  }
}

/**
 * Latent consistency models (Luo et al. 2023, algorithm 3): the network predicts the end of the trajectory, and noise
 * is added to continue from a lower level.
 */
export class LCMScheduler extends DistilledScheduler {
  constructor(config: Partial<LCMConfig> = {}) {
    super("LCMScheduler", config);
  }

  plan(request: PlanRequest, options?: PlanOptions): Plan {
    const timesteps = this.jumps(request, options);
    const bars = timesteps.map((t) => this.alphaBar[t]!);
    return makePlan({
      timesteps,
      sigmas: [...bars, 1].map(sigmaOf),
      level: (i) => levelOf(bars[i]!),
      update: ({ x, output, i, fresh }) => {
        const x0 = limited(x0Of(this.settings.prediction_type, output, x, levelOf(bars[i]!)), this.settings);
        const { skip, out } = boundaryWeights(timesteps[i]! * this.settings.timestep_scaling);
        const denoised = sum([out, x0], [skip, x]);
        if (i + 1 === timesteps.length) return { x: combine([1, denoised]) };
        const next = levelOf(bars[i + 1]!);
        return { x: combine([next.alpha, denoised], [next.sigma, fresh()]) };
      },
    });
  }
}

/**
 * c_skip and c_out, which make the consistency function the identity at t = 0 (Luo et al. 2023, eq. 10; sigma_data
 * 1/2).
 */
function boundaryWeights(t: number): { skip: number; out: number } {
  return { skip: 0.25 / (t ** 2 + 0.25), out: t / Math.sqrt(t ** 2 + 0.25) };
}
