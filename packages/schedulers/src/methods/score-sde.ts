import type * as tf from "@tensorflow/tfjs";
import { combine } from "../combine.js";
import type { ConfigOf } from "../config.js";
import { makePlan } from "../plan.js";
import type { Level } from "../prediction.js";
import { BaseScheduler, type Plan, type PlanRequest } from "../scheduler.js";
import { linspace32 } from "../schedule.js";
import { type TrainingRule, trainingLevel, uniformTimes } from "../training.js";
import { requireRequest, requireStepCount } from "../spacing.js";
import type { SchedulerTraits } from "../traits.js";

const VE_KEYS = ["num_train_timesteps", "snr", "sigma_min", "sigma_max", "sampling_eps", "correct_steps"] as const;
const VE_DEFAULTS = { num_train_timesteps: 2000, sigma_min: 0.01, sigma_max: 1348 } as const;
const VP_KEYS = ["num_train_timesteps", "beta_min", "beta_max", "sampling_eps"] as const;
const VP_DEFAULTS = { num_train_timesteps: 2000, sampling_eps: 1e-3 } as const;

/** Keys of ScoreSdeVeScheduler's config, all with defaults. */
export type ScoreSdeVeConfig = ConfigOf<(typeof VE_KEYS)[number]>;
/** Keys of ScoreSdeVpScheduler's config, all with defaults. */
export type ScoreSdeVpConfig = ConfigOf<(typeof VP_KEYS)[number]>;

/**
 * Predictor-corrector sampling of the variance-exploding SDE (Song et al. 2021b, algorithm 2), for a network that
 * predicts the score. Each level makes correct_steps calls for Langevin dynamics, and then one for the reverse
 * diffusion.
 */
export class ScoreSdeVeScheduler extends BaseScheduler<ScoreSdeVeConfig> {
  static override readonly traits: SchedulerTraits = { network: "score", stochastic: true };
  readonly alphaBar: Float64Array;

  constructor(config: Partial<ScoreSdeVeConfig> = {}) {
    super({ className: "ScoreSdeVeScheduler", keys: VE_KEYS, defaults: VE_DEFAULTS }, config);
    this.alphaBar = Float64Array.from(
      this.#geometric(this.settings.num_train_timesteps),
      (sigma) => 1 / (1 + sigma ** 2),
    );
  }

  /** The score -noise / sigma, with weight sigma^2 (Song et al. 2021b, eq. 7); times run from sampling_eps to 1. */
  get training(): TrainingRule {
    return {
      predicts: "score",
      drawTime: uniformTimes(this.settings.sampling_eps),
      at: (t) => {
        const { sigma } = this.levelAt(t);
        const target = { ofX0: 0, ofNoise: -1 / sigma };
        return { timestep: t, input: { ofX0: 1, ofNoise: sigma }, target, weight: sigma ** 2 };
      },
    };
  }

  /** Timesteps run from 0 to 1. */
  protected levelAt(t: number): Level {
    return { alpha: 1, sigma: this.settings.sigma_min! * (this.settings.sigma_max! / this.settings.sigma_min!) ** t };
  }

  /** The score is (x0 - x) / sigma^2. */
  override predictX0(score: tf.Tensor, x: tf.Tensor, { sigma }: Level): tf.Tensor {
    return combine([1, x], [sigma ** 2, score]);
  }

  #geometric(n: number): number[] {
    return Array.from({ length: n }, (_, i) => this.levelAt(n === 1 ? 0 : i / (n - 1)).sigma);
  }

  plan(request: PlanRequest): Plan {
    const { num_train_timesteps: T, snr, sampling_eps, correct_steps, sigma_max } = this.settings;
    const { steps: n } = requireRequest(request, "steps");
    requireStepCount(n, T);
    const times = [...linspace32(1, sampling_eps, n)];
    const calls = correct_steps + 1;
    // As published, the levels are a table of n entries, read at the integer part of each time's position.
    const discrete = this.#geometric(n);
    const lengths = times.map((t) => {
      const at = Math.trunc(Math.fround(t * (n - 1)));
      return discrete[at]! ** 2 - (at === 0 ? 0 : discrete[at - 1]! ** 2);
    });
    return makePlan({
      timesteps: times.flatMap((t) => Array<number>(calls).fill(t)),
      stepStarts: times.map((_, k) => k * calls),
      sigmas: times.map((t) => Math.fround(this.levelAt(t).sigma)),
      initNoiseSigma: sigma_max!,
      level: (i) => this.levelAt(times[Math.floor(i / calls)]!),
      update: ({ x, output: score, i, fresh }) => {
        const z = fresh();
        if (i % calls < correct_steps) {
          const size = meanNorm(z).div(meanNorm(score)).mul(snr).square().mul(2);
          return { x: combine([1, x], [size, score], [size.mul(2).sqrt(), z]) };
        }
        const length = lengths[Math.floor(i / calls)]!;
        return { x: combine([1, x], [length, score], [Math.sqrt(length), z]) };
      },
    });
  }
}

/** Mean of the samples' norms. */
function meanNorm(x: tf.Tensor): tf.Tensor {
  return x.square().reshape([x.shape[0], -1]).sum(1).sqrt().mean();
}

/**
 * Reverse diffusion of the variance-preserving SDE by Euler-Maruyama (Song et al. 2021b, eq. 6), for a network that
 * predicts the noise.
 */
export class ScoreSdeVpScheduler extends BaseScheduler<ScoreSdeVpConfig> {
  static override readonly traits: SchedulerTraits = { network: "score", stochastic: true };
  readonly alphaBar: Float64Array;

  constructor(config: Partial<ScoreSdeVpConfig> = {}) {
    super({ className: "ScoreSdeVpScheduler", keys: VP_KEYS, defaults: VP_DEFAULTS }, config);
    const T = this.settings.num_train_timesteps;
    this.alphaBar = Float64Array.from({ length: T }, (_, t) => this.levelAt((t + 1) / T).alpha ** 2);
  }

  /** The target is the noise; times run from sampling_eps to 1. */
  get training(): TrainingRule {
    return {
      predicts: "epsilon",
      drawTime: uniformTimes(this.settings.sampling_eps),
      at: (t) => trainingLevel("epsilon", this.levelAt(t), t),
    };
  }

  /** Timesteps run from 0 to 1 (Song et al. 2021b, eq. 33). */
  protected levelAt(t: number): Level {
    const { beta_min, beta_max } = this.settings;
    const alpha = Math.exp(-0.25 * t ** 2 * (beta_max - beta_min) - 0.5 * t * beta_min);
    return { alpha, sigma: Math.sqrt(1 - alpha ** 2) };
  }

  plan(request: PlanRequest): Plan {
    const { num_train_timesteps: T, beta_min, beta_max, sampling_eps } = this.settings;
    const { steps: n } = requireRequest(request, "steps");
    requireStepCount(n, T);
    const times = [...linspace32(1, sampling_eps, n)];
    return makePlan({
      timesteps: times,
      sigmas: [...times, 0].map((t) => this.levelAt(t).sigma / this.levelAt(t).alpha),
      level: (i) => this.levelAt(times[i]!),
      update: ({ x, output, i, fresh }) => {
        const t = times[i]!;
        const amount = (beta_min + t * (beta_max - beta_min)) / n;
        // The score is -epsilon / sigma.
        return {
          x: combine([1 + amount / 2, x], [-amount / this.levelAt(t).sigma, output], [Math.sqrt(amount), fresh()]),
        };
      },
    });
  }
}
