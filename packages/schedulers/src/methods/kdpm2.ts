import { combine, type Quantity, sum } from "../combine.js";
import { BETA_KEYS, type ConfigOf, SIGMA_SCHEDULE_KEYS, SPACING_KEYS } from "../config.js";
import { eulerStep, slopeAt } from "./euler.js";
import { ancestralSplit } from "./euler-ancestral.js";
import { makePlan } from "../plan.js";
import { x0Of } from "../prediction.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { inputScaleOf, type NoiseLevels, SigmaScheduler } from "../sigma-scheduler.js";
import { everySecond, repeatInner, requireFirstHalf } from "../numerics/two-calls.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [...BETA_KEYS, ...SPACING_KEYS, ...SIGMA_SCHEDULE_KEYS, "prediction_type"] as const;

/** Keys of KDPM2DiscreteScheduler's config, all with defaults. */
export type KDPM2DiscreteConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * The midpoint method in log sigma (Karras et al. 2022, appendix: DPM-Solver-2; k-diffusion's `sample_dpm_2`): an Euler
 * step to the geometric mean of two noise levels, and then the whole step with the slope found there.
 */
abstract class MidpointScheduler extends SigmaScheduler<KDPM2DiscreteConfig> {
  constructor(className: string, config: object) {
    const defaults = { timestep_spacing: "linspace", beta_start: 0.00085, beta_end: 0.012 } as const;
    super({ className, keys: KEYS, defaults }, config);
  }

  /** Where a step from sigma to `next` ends before noise is added, and how much is added. */
  protected abstract split(sigma: number, next: number): { down: number; up: number };

  plan(request: PlanRequest): Plan {
    const { timesteps: first, sigmas } = this.levels(request);
    const splits = first.map((_, k) => this.split(sigmas[k]!, sigmas[k + 1]!));
    const middles = splits.map(({ down }, k) => Math.sqrt(sigmas[k]! * down));
    const timesteps = first.flatMap((t, k) => (k + 1 < first.length ? [t, this.timestepOf(middles[k]!)] : [t]));
    const seen = timesteps.map((_, i) => (i % 2 === 0 ? sigmas[i / 2]! : middles[(i - 1) / 2]!));
    return makePlan({
      timesteps,
      stepStarts: everySecond(timesteps),
      sigmas: [...repeatInner(sigmas, "last too"), sigmas.at(-1)!],
      initNoiseSigma: this.initNoiseSigma(sigmas),
      level: (i) => this.sigmaLevel(seen[i]!),
      inputScale: (i) => inputScaleOf(seen[i]!),
      update: ({ x, history, output, i, fresh }) => {
        const k = Math.floor(i / 2);
        const [sigma, { down, up }] = [sigmas[k]!, splits[k]!];
        const x0 = x0Of(this.settings.prediction_type, output, x, this.sigmaLevel(seen[i]!));
        const withNoise = (moved: Quantity) => (up > 0 ? combine([1, moved], [up, fresh()]) : combine([1, moved]));
        // The last step has one call, since it usually ends at 0, whose geometric mean with anything is 0.
        if (i === timesteps.length - 1) return { x: withNoise(eulerStep(x, x0, sigma, down)) };
        if (i % 2 === 0) return { x: combine([1, eulerStep(x, x0, sigma, middles[k]!)]), history: [x] };
        const [start] = requireFirstHalf(history, 1, i);
        return { x: withNoise(sum([1, start!], [down - sigma, slopeAt(x, x0, middles[k]!)])) };
      },
    });
  }

  protected override levels(request: PlanRequest): NoiseLevels {
    const levels = super.levels(request);
    return this.settings.use_karras_sigmas ? { ...levels, timesteps: levels.timesteps.map(Math.round) } : levels;
  }
}

/** The deterministic form. */
export class KDPM2DiscreteScheduler extends MidpointScheduler {
  constructor(config: Partial<KDPM2DiscreteConfig> = {}) {
    super("KDPM2DiscreteScheduler", config);
  }

  protected split(_: number, next: number) {
    return { down: next, up: 0 };
  }
}

/** The form that adds fresh noise in each step, as Euler ancestral does (k-diffusion's `sample_dpm_2_ancestral`). */
export class KDPM2AncestralDiscreteScheduler extends MidpointScheduler {
  static override readonly traits: SchedulerTraits = {
    network: "timestep",
    stochastic: true,
    divergesFromPureNoise: true,
  };
  constructor(config: Partial<KDPM2DiscreteConfig> = {}) {
    super("KDPM2AncestralDiscreteScheduler", config);
  }

  protected split(sigma: number, next: number) {
    return ancestralSplit(sigma, next);
  }
}
