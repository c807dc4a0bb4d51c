import { combine } from "../combine.js";
import { BETA_KEYS, type ConfigOf, SPACING_KEYS } from "../config.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { SigmaScheduler } from "../sigma-scheduler.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [...BETA_KEYS, ...SPACING_KEYS, "prediction_type", "rescale_betas_zero_snr"] as const;

/** Keys of EulerAncestralDiscreteScheduler's config, all with defaults. */
export type EulerAncestralDiscreteConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Euler steps to below the next noise level, followed by fresh noise up to it (Song et al. 2021, eq. 47; k-diffusion's
 * `sample_euler_ancestral`).
 */
export class EulerAncestralDiscreteScheduler extends SigmaScheduler<EulerAncestralDiscreteConfig> {
  static override readonly traits: SchedulerTraits = { network: "timestep", stochastic: true };
  constructor(config: Partial<EulerAncestralDiscreteConfig> = {}) {
    super(
      { className: "EulerAncestralDiscreteScheduler", keys: KEYS, defaults: { timestep_spacing: "linspace" } },
      config,
    );
  }

  plan(request: PlanRequest): Plan {
    const { timesteps, sigmas } = this.levels(request);
    return this.sigmaPlan({
      timesteps,
      sigmas,
      update: ({ x, output, i, fresh }) => {
        const { down, up } = ancestralSplit(sigmas[i]!, sigmas[i + 1]!);
        const d = this.slope(output, x, sigmas[i]!);
        return { x: combine([1, x], [down - sigmas[i]!, d], [up, fresh()]) };
      },
    });
  }
}

/**
 * How far to step down and how much noise to add: next^2 = down^2 + up^2, where `up` is the deviation of the posterior
 * q(x_next | x, x0).
 */
export function ancestralSplit(sigma: number, next: number): { down: number; up: number } {
  const up = Math.min(next, Math.sqrt((next ** 2 * (sigma ** 2 - next ** 2)) / sigma ** 2));
  return { down: Math.sqrt(next ** 2 - up ** 2), up };
}
