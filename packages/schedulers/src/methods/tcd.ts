import { combine, sum } from "../combine.js";
import { DistilledScheduler, type LCMConfig } from "./lcm.js";
import { makePlan, requireEta } from "../plan.js";
import { levelOf, epsilonOf, x0Of } from "../prediction.js";
import { sigmaOf } from "../schedule.js";
import type { Plan, PlanOptions, PlanRequest } from "../scheduler.js";

/**
 * Trajectory consistency distillation (Zheng et al. 2024, algorithm 1, strategic stochastic sampling): jump along the
 * trajectory to s = (1 - eta) t_next, and add noise back up to t_next. eta = 0.3 unless given; 0 adds none.
 */
export class TCDScheduler extends DistilledScheduler {
  constructor(config: Partial<LCMConfig> = {}) {
    super("TCDScheduler", config);
  }

  plan(request: PlanRequest, options?: PlanOptions): Plan {
    const timesteps = this.jumps(request, options);
    const ends = [...timesteps.slice(1), 0];
    return makePlan({
      timesteps,
      sigmas: [...timesteps, 0].map((t) => sigmaOf(this.alphaBar[t]!)),
      level: (i) => levelOf(this.alphaBar[timesteps[i]!]!),
      update: ({ x, output, i, fresh, options: { eta = 0.3 } }) => {
        requireEta("TCDScheduler", eta);
        const level = levelOf(this.alphaBar[timesteps[i]!]!);
        const target = this.alphaBar[Math.floor(Math.fround(Math.fround(1 - eta) * ends[i]!))]!;
        const { alpha, sigma } = levelOf(target);
        const jumped = sum(
          [alpha, x0Of(this.settings.prediction_type, output, x, level)],
          [sigma, epsilonOf(this.settings.prediction_type, output, x, level)],
        );
        if (eta === 0 || i + 1 === timesteps.length) return { x: combine([1, jumped]) };
        const kept = this.alphaBar[ends[i]!]! / target;
        return { x: combine([Math.sqrt(kept), jumped], [Math.sqrt(1 - kept), fresh()]) };
      },
    });
  }
}
