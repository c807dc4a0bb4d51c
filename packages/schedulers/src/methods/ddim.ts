import { combine, sum } from "../combine.js";
import { BETA_KEYS, CLIPPING_KEYS, type ConfigOf, SPACING_KEYS, THRESHOLDING_KEYS } from "../config.js";
import { posterior } from "../forward.js";
import { makePlan, requireEta } from "../plan.js";
import { epsilonBetween, epsilonOf, levelOf, x0Of } from "../prediction.js";
import { sigmaOf } from "../schedule.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { limited } from "../numerics/thresholding.js";
import { TrainedScheduler } from "../trained.js";

const KEYS = [
  ...BETA_KEYS,
  ...CLIPPING_KEYS,
  ...THRESHOLDING_KEYS,
  ...SPACING_KEYS,
  "prediction_type",
  "set_alpha_to_one",
  "rescale_betas_zero_snr",
] as const;

/** Keys of DDIMScheduler's config, all with defaults. */
export type DDIMConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Denoising diffusion implicit models (Song et al. 2021): each step adds noise to the predicted clean sample, up to the
 * next lower level, with the predicted noise instead of fresh noise. Deterministic at eta = 0; DDPM at eta = 1.
 */
export class DDIMScheduler extends TrainedScheduler<DDIMConfig> {
  constructor(config: Partial<DDIMConfig> = {}) {
    super({ className: "DDIMScheduler", keys: KEYS, defaults: { clip_sample: true } }, config);
  }

  plan(request: PlanRequest): Plan {
    const timesteps = this.visited(request);
    const bars = timesteps.map((t) => this.alphaBar[t]!);
    // A step goes down by a whole stride, which is not always the next entry of the list, as in diffusers and the
    // paper's code.
    const stride = typeof request === "number" ? Math.floor(this.settings.num_train_timesteps / request) : undefined;
    const clean = this.settings.set_alpha_to_one ? 1 : this.alphaBar[0]!;
    const nextBars = timesteps.map(
      (t, i) => this.alphaBar[stride === undefined ? (timesteps[i + 1] ?? -1) : t - stride] ?? clean,
    );
    return makePlan({
      timesteps,
      sigmas: [...bars, nextBars.at(-1)!].map(sigmaOf),
      level: (i) => levelOf(bars[i]!),
      /**
       * x_s = sqrt(a_s) x0 + sqrt(1 - a_s - sigma^2) epsilon + sigma z, with sigma of eq. 16 (Song et al. 2021, eq.
       * 12).
       */
      update: ({ x, output, i, fresh, options: { eta = 0, use_clipped_model_output = false } }) => {
        requireEta("DDIMScheduler", eta);
        const [a, b] = [bars[i]!, nextBars[i]!];
        const { prediction_type } = this.settings;
        const x0 = limited(x0Of(prediction_type, output, x, levelOf(a)), this.settings);
        const epsilon = use_clipped_model_output
          ? epsilonBetween(x0, x, levelOf(a))
          : epsilonOf(prediction_type, output, x, levelOf(a));
        const sigma = eta * Math.sqrt(a < b ? posterior(a, b).variance : 0);
        const moved = sum([Math.sqrt(b), x0], [Math.sqrt(Math.max(0, 1 - b - sigma ** 2)), epsilon]);
        return { x: eta > 0 ? combine([1, moved], [sigma, fresh()]) : combine([1, moved]) };
      },
    });
  }
}
