import { combine, computed } from "../combine.js";
import { BETA_KEYS, type ConfigOf, SIGMA_SCHEDULE_KEYS, SPACING_KEYS } from "../config.js";
import { lagrangeIntegrals, powerMoments } from "../numerics/lagrange.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { SigmaScheduler } from "../sigma-scheduler.js";

const KEYS = [...BETA_KEYS, ...SPACING_KEYS, ...SIGMA_SCHEDULE_KEYS, "prediction_type"] as const;

/** Keys of LMSDiscreteScheduler's config, all with defaults. */
export type LMSDiscreteConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Linear multi-step: Adams-Bashforth in sigma, with uneven steps. A polynomial through the last slopes (up to four) is
 * integrated to the next noise level (k-diffusion's `sample_lms`).
 */
export class LMSDiscreteScheduler extends SigmaScheduler<LMSDiscreteConfig> {
  constructor(config: Partial<LMSDiscreteConfig> = {}) {
    super({ className: "LMSDiscreteScheduler", keys: KEYS, defaults: { timestep_spacing: "linspace" } }, config);
  }

  plan(request: PlanRequest): Plan {
    const { timesteps, sigmas } = this.levels(request);
    return this.sigmaPlan({
      timesteps,
      sigmas,
      update: ({ x, history, output, i, options: { order = 4 } }) => {
        if (![1, 2, 3, 4].includes(order))
          throw new RangeError(`LMSDiscreteScheduler: order is ${order}; give 1, 2, 3 or 4.`);
        const sigma = sigmas[i]!;
        const slopes = [computed(this.slope(output, x, sigma)), ...history].slice(0, order);
        // After a resume, earlier slopes are missing. As published, their weights are left out, without a compensation.
        const nodes = sigmas
          .slice(Math.max(0, i + 1 - order), i + 1)
          .reverse()
          .map((node) => node - sigma);
        const weights = lagrangeIntegrals(nodes, powerMoments(nodes.length, sigmas[i + 1]! - sigma));
        return {
          x: combine([1, x], ...slopes.map((slope, k) => [weights[k]!, slope] as const)),
          history: slopes.slice(0, 3),
        };
      },
    });
  }
}
