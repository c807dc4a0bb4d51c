import { type ConfigOf, CLIPPING_KEYS } from "../config.js";
import { DDPMScheduler } from "./ddpm.js";
import { betas } from "../schedule.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { requireRequest, requireStepCount, requireTimesteps, spacedTimesteps } from "../spacing.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = ["num_train_timesteps", "variance_type", ...CLIPPING_KEYS, "prediction_type", "beta_schedule"] as const;
const DEFAULTS = { variance_type: "fixed_small_log", beta_schedule: "squaredcos_cap_v2", clip_sample: true } as const;

/** Keys of UnCLIPScheduler's config, all with defaults. */
export type UnCLIPConfig = ConfigOf<(typeof KEYS)[number]>;

/** DDPM as unCLIP samples it (Ramesh et al. 2022): timesteps spread from T - 1 to 0. */
export class UnCLIPScheduler extends DDPMScheduler {
  static override readonly traits: SchedulerTraits = { network: "unclip", stochastic: true };
  constructor(config: Partial<UnCLIPConfig> = {}) {
    super(config, { className: "UnCLIPScheduler", keys: KEYS, defaults: DEFAULTS });
  }

  override plan(request: PlanRequest): Plan {
    const T = this.settings.num_train_timesteps;
    const { steps, timesteps } = requireRequest(request, "steps", "timesteps");
    if (!timesteps) requireStepCount(steps, T);
    const visited = timesteps ?? spacedTimesteps("linspace", steps!, T, 0);
    requireTimesteps(visited, T);
    return this.planOver(visited);
  }

  /**
   * Rounded as published, which matters at both ends. Near pure noise, alpha loses all its digits in 1 - beta. Between
   * neighbours near t = 0, the schedule's beta has digits that 1 - alpha lacks.
   */
  protected override transition(t: number, next: number) {
    const beta =
      next === t - 1
        ? betas(this.settings)[t]!
        : Math.fround(1 - Math.fround(this.alphaBar[t]! / (this.alphaBar[next] ?? 1)));
    return { alpha: Math.fround(1 - beta), beta };
  }
}
