import type * as tf from "@tensorflow/tfjs";
import { adamsBashforth } from "../numerics/adams-bashforth.js";
import { combine, computed } from "../combine.js";
import type { ConfigOf } from "../config.js";
import { makePlan } from "../plan.js";
import { type Level, predictEpsilon, predictX0 } from "../prediction.js";
import { BaseScheduler, type Plan, type PlanRequest } from "../scheduler.js";
import { linspace32 } from "../schedule.js";
import { type TrainingRule, trainingLevel, uniformTimes } from "../training.js";
import { requireRequest, requireStepCount } from "../spacing.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = ["num_train_timesteps", "trained_betas"] as const;

/** Keys of IPNDMScheduler's config, all with defaults. */
export type IPNDMConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Improved PNDM: Adams-Bashforth with DDIM's transfer, without a Runge-Kutta start (Zhang & Chen 2023, section H;
 * v-diffusion's `iplms`). Timesteps are angles from 1 to 0, x = cos x0 + sin epsilon, and the network predicts v.
 */
export class IPNDMScheduler extends BaseScheduler<IPNDMConfig> {
  static override readonly traits: SchedulerTraits = { network: "angle", stochastic: false };
  readonly alphaBar: Float64Array;

  constructor(config: Partial<IPNDMConfig> = {}) {
    super({ className: "IPNDMScheduler", keys: KEYS, defaults: {} }, config);
    const T = this.settings.num_train_timesteps;
    this.alphaBar = Float64Array.from({ length: T }, (_, t) => this.levelAt(angleOf(sigmaAt((t + 1) / T))).alpha ** 2);
  }

  /** Velocities at uniformly distributed angles (Salimans & Ho 2022). */
  get training(): TrainingRule {
    const predicts = "v_prediction";
    return { predicts, drawTime: uniformTimes(), at: (t) => trainingLevel(predicts, this.levelAt(t), t) };
  }

  /** A timestep is an angle, in units of a right angle. */
  protected levelAt(t: number): Level {
    return { alpha: Math.cos((t * Math.PI) / 2), sigma: Math.sin((t * Math.PI) / 2) };
  }

  /** The clean sample that an output implies for x; the caller owns it. */
  override predictX0(output: tf.Tensor, x: tf.Tensor, level: Level): tf.Tensor {
    return predictX0("v_prediction", output, x, level);
  }

  plan(request: PlanRequest): Plan {
    const { steps } = requireRequest(request, "steps");
    requireStepCount(steps, this.settings.num_train_timesteps);
    const betas = (this.settings.trained_betas ?? [...linspace32(1, 0, steps + 1)].map(sigmaAt)).map(f32);
    if (betas.length < steps + 1) {
      throw new RangeError(
        `plan(${steps}): trained_betas has ${betas.length} entries; a plan of ${steps} steps needs ${steps + 1}.`,
      );
    }
    const levels = betas.map((sigma) => ({ alpha: f32(Math.sqrt(f32(1 - f32(sigma ** 2)))), sigma }));
    return makePlan({
      timesteps: betas.slice(0, steps).map((sigma) => f32(angleOf(sigma))),
      sigmas: levels.slice(0, steps + 1).map(({ alpha, sigma }) => sigma / alpha),
      level: (i) => levels[i]!,
      update: ({ x, output, i, history }) => {
        const [s, t] = [levels[i]!, levels[i + 1]!];
        const slopes = [predictEpsilon("v_prediction", output, x, s), ...history].slice(0, 4);
        const slope = computed(adamsBashforth(slopes));
        // At the first level alpha may be nearly 0, so the difference must be taken before the division.
        const x0 = predictX0("epsilon", slope, x, { alpha: Math.max(s.alpha, 1e-8), sigma: s.sigma });
        return { x: combine([t.alpha, x0], [t.sigma, slope]), history: slopes.slice(0, 3) };
      },
    });
  }
}

const f32 = Math.fround;
/** In float32, as published: where alpha is nearly 0, rounding is amplified by 1e8. */
const sigmaAt = (share: number): number => f32(f32(Math.sin(f32((share * Math.PI) / 2))) ** 2);
const angleOf = (sigma: number): number => (Math.asin(sigma) / Math.PI) * 2;
