import { combine } from "../combine.js";
import { BETA_KEYS, CLIPPING_KEYS, type ConfigOf, SPACING_KEYS } from "../config.js";
import { SchedulerConfigError } from "../errors.js";
import { makePlan } from "../plan.js";
import { type Level, levelOf, epsilonOf, x0Of } from "../prediction.js";
import { sigmaOf } from "../schedule.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { requireRequest } from "../spacing.js";
import { limited } from "../numerics/thresholding.js";
import { TrainedScheduler } from "../trained.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [
  ...BETA_KEYS,
  ...CLIPPING_KEYS,
  ...SPACING_KEYS,
  "set_alpha_to_one",
  "prediction_type",
  "rescale_betas_zero_snr",
] as const;

/** Keys of DDIMInverseScheduler's config, all with defaults. */
export type DDIMInverseConfig = ConfigOf<(typeof KEYS)[number]>;

/** DDIM run backwards: from a picture to the noise that DDIM would draw it from (Song et al. 2021, section 4.3). */
export class DDIMInverseScheduler extends TrainedScheduler<DDIMInverseConfig> {
  static override readonly traits: SchedulerTraits = {
    network: "timestep",
    stochastic: false,
    notFromNoise: "goes from pictures to noise",
    inverse: true,
  };
  constructor(config: Partial<DDIMInverseConfig> = {}) {
    super({ className: "DDIMInverseScheduler", keys: KEYS, defaults: { clip_sample: true } }, config);
    const { prediction_type, set_alpha_to_one } = this.settings;
    if (prediction_type === "sample" && set_alpha_to_one) {
      throw new SchedulerConfigError(
        "DDIMInverseScheduler: a network that predicts the sample says nothing about the noise in a clean picture. " +
          "Set set_alpha_to_one to false, or use a network with another prediction_type.",
      );
    }
  }

  plan(request: PlanRequest): Plan {
    const { steps } = requireRequest(request, "steps");
    const timesteps = this.visited(request).reverse();
    const T = this.settings.num_train_timesteps;
    const stride = Math.floor(T / steps!);
    const clean = this.settings.set_alpha_to_one ? 1 : this.alphaBar[0]!;
    const bars = timesteps.map((t) => this.alphaBar[Math.min(t - stride, T - 1)] ?? clean);
    const ends = timesteps.map((t) => this.alphaBar[t]!);
    return makePlan({
      timesteps,
      sigmas: [...bars, ends.at(-1)!].map(sigmaOf),
      level: (i) => levelOf(bars[i]!),
      /** The network gets the timestep at the end of the step, but its output is applied at the level of x. */
      update: ({ x, output, i }) => {
        const [from, to]: Level[] = [levelOf(bars[i]!), levelOf(ends[i]!)];
        const x0 = limited(x0Of(this.settings.prediction_type, output, x, from!), this.settings);
        return {
          x: combine([to!.alpha, x0], [to!.sigma, epsilonOf(this.settings.prediction_type, output, x, from!)]),
        };
      },
    });
  }
}
