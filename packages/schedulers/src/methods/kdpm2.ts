import { combine, type Term } from "../combine.js";
import { BETA_KEYS, type ConfigOf, SIGMA_SCHEDULE_KEYS, SPACING_KEYS } from "../config.js";
import { ancestralSplit } from "./euler-ancestral.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { type NoiseLevels, SigmaScheduler } from "../sigma-scheduler.js";
import { atBothEnds, everySecond, requireFirstHalf } from "../numerics/two-calls.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [...BETA_KEYS, ...SPACING_KEYS, ...SIGMA_SCHEDULE_KEYS, "prediction_type"] as const;

/** Keys of KDPM2DiscreteScheduler's config, all with defaults. */
export type KDPM2DiscreteConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * The midpoint method in log sigma (Karras et al. 2022, appendix: DPM-Solver-2; k-diffusion's `sample_dpm_2`): an Euler
 * step to the geometric mean of two noise levels, and then the whole step with the slope at that level.
 */
abstract class MidpointScheduler extends SigmaScheduler<KDPM2DiscreteConfig> {
  constructor(className: string, config: object) {
    const defaults = { timestep_spacing: "linspace", beta_start: 0.00085, beta_end: 0.012 } as const;
    super({ className, keys: KEYS, defaults }, config);
  }

  /** How far a step from sigma to `next` goes down before noise is added, and how much is added. */
  protected abstract split(sigma: number, next: number): { down: number; up: number };

  plan(request: PlanRequest): Plan {
    const { timesteps: first, sigmas } = this.levels(request);
    const splits = first.map((_, k) => this.split(sigmas[k]!, sigmas[k + 1]!));
    const middles = splits.map(({ down }, k) => Math.sqrt(sigmas[k]! * down));
    const timesteps = first.flatMap((t, k) => (k + 1 < first.length ? [t, this.timestepOf(middles[k]!)] : [t]));
    const callSigmas = timesteps.map((_, i) => (i % 2 === 0 ? sigmas[i / 2]! : middles[(i - 1) / 2]!));
    return this.sigmaPlan({
      timesteps,
      stepStarts: everySecond(timesteps),
      sigmas: [...atBothEnds(sigmas, 2 * first.length + 1), sigmas.at(-1)!],
      callSigmas,
      update: ({ x, history, output, i, fresh }) => {
        const k = Math.floor(i / 2);
        const [sigma, { down, up }] = [sigmas[k]!, splits[k]!];
        const d = this.slope(output, x, callSigmas[i]!);
        const noise = (): Term[] => (up > 0 ? [[up, fresh()]] : []);
        // The last step has one call, because it usually ends at 0, where the geometric mean would be 0.
        if (i === timesteps.length - 1) return { x: combine([1, x], [down - sigma, d], ...noise()) };
        if (i % 2 === 0) return { x: combine([1, x], [middles[k]! - sigma, d]), history: [x] };
        const [start] = requireFirstHalf(history, 1, i);
        return { x: combine([1, start!], [down - sigma, d], ...noise()) };
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
