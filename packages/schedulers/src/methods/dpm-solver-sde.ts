import type * as tf from "@tensorflow/tfjs";
import { isBrownian } from "../noise/brownian.js";
import { combine, computed, type Quantity } from "../combine.js";
import { BETA_KEYS, type ConfigOf, SIGMA_SCHEDULE_KEYS, SPACING_KEYS } from "../config.js";
import { ancestralSplit } from "./euler-ancestral.js";
import type { Call } from "../plan.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { SigmaScheduler } from "../sigma-scheduler.js";
import { atBothEnds, everySecond, requireFirstHalf } from "../numerics/two-calls.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [...BETA_KEYS, "prediction_type", ...SIGMA_SCHEDULE_KEYS, "noise_sampler_seed", ...SPACING_KEYS] as const;

/** Keys of DPMSolverSDEScheduler's config, all with defaults. */
export type DPMSolverSDEConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * DPM-Solver++ (SDE), with two calls for each step (Lu et al. 2022b; k-diffusion's `sample_dpmpp_sde`): to the midpoint
 * in log sigma, and then over the whole step with the clean sample predicted at the midpoint. The noise of the whole
 * step contains that of its first half: `brownianNoise` gives a path that does not depend on the steps; with other
 * sources two halves are drawn and added.
 */
export class DPMSolverSDEScheduler extends SigmaScheduler<DPMSolverSDEConfig> {
  static override readonly traits: SchedulerTraits = { network: "timestep", stochastic: true };
  constructor(config: Partial<DPMSolverSDEConfig> = {}) {
    const defaults = { timestep_spacing: "linspace", beta_start: 0.00085, beta_end: 0.012 } as const;
    super({ className: "DPMSolverSDEScheduler", keys: KEYS, defaults }, config);
  }

  plan(request: PlanRequest): Plan {
    const { timesteps: first, sigmas } = this.levels(request);
    const middles = first.map((_, k) => Math.sqrt(sigmas[k]! * sigmas[k + 1]!));
    const timesteps = first.flatMap((t, k) => (k + 1 < first.length ? [t, this.timestepOf(middles[k]!)] : [t]));
    const callSigmas = timesteps.map((_, i) => (i % 2 === 0 ? sigmas[i / 2]! : middles[(i - 1) / 2]!));
    return this.sigmaPlan({
      timesteps,
      stepStarts: everySecond(timesteps),
      sigmas: atBothEnds(sigmas, timesteps.length + 1),
      callSigmas,
      update: (call) => {
        const { x, output, i } = call;
        const k = Math.floor(i / 2);
        const [sigma, middle, next] = [sigmas[k]!, middles[k]!, sigmas[k + 1]!];
        const x0 = this.denoised(output, x, callSigmas[i]!);
        if (next === 0) return { x: computed(x0) };
        const s_noise = call.options.s_noise ?? 1;
        // The last step has one call, because it usually ends at 0.
        if (i === timesteps.length - 1)
          return { x: ancestralMove(x, x0, this.#change(call, sigma, next), s_noise, sigma, next) };
        if (i % 2 === 0) {
          const change = this.#change(call, sigma, middle);
          return { x: ancestralMove(x, x0, change, s_noise, sigma, middle), history: [x, change] };
        }
        const [start, half] = requireFirstHalf(call.history, 2, i) as [tf.Tensor, tf.Tensor];
        const change = combine([1, half], [1, this.#change(call, middle, next)]);
        return { x: ancestralMove(start, x0, change, s_noise, sigma, next) };
      },
    });
  }

  /** The increment of the noise path from one noise level to a lower one, of variance from - to. */
  #change({ x, noise, fresh }: Call, from: number, to: number): tf.Tensor {
    return isBrownian(noise) ? noise.increment(x.shape, from, to) : combine([Math.sqrt(from - to), fresh()]);
  }
}

/** An ancestral step: towards x0 to below the next level, and up to that level with noise of variance 1. */
function ancestralMove(
  x: tf.Tensor,
  x0: Quantity,
  change: tf.Tensor,
  s_noise: number,
  sigma: number,
  next: number,
): tf.Tensor {
  const { down, up } = ancestralSplit(sigma, next);
  return combine([down / sigma, x], [1 - down / sigma, x0], [(up * s_noise) / Math.sqrt(sigma - next), change]);
}
