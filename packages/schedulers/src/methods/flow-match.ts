import type * as tf from "@tensorflow/tfjs";
import { combine, sum } from "../combine.js";
import { type ConfigOf, type ConfigSpec, SIGMA_SCHEDULE_KEYS } from "../config.js";
import { churn } from "./euler.js";
import { heunStep } from "./heun.js";
import { makePlan } from "../plan.js";
import { type Level, predictX0, x0Of } from "../prediction.js";
import { BaseScheduler, type Plan, type PlanOptions, type PlanRequest } from "../scheduler.js";
import { requestedSigmas } from "../sigma-schedule.js";
import { requireRequest, requireStepCount } from "../spacing.js";
import { timeShift } from "../time-shift.js";
import { type TrainingRule, trainingLevel, uniformTimes } from "../training.js";
import { atBothEnds, everySecond } from "../numerics/two-calls.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [
  "num_train_timesteps",
  "shift",
  "use_dynamic_shifting",
  "base_shift",
  "max_shift",
  "base_image_seq_len",
  "max_image_seq_len",
  "invert_sigmas",
  "shift_terminal",
  ...SIGMA_SCHEDULE_KEYS,
  "time_shift_type",
  "stochastic_sampling",
] as const;
const HEUN_KEYS = ["num_train_timesteps", "shift"] as const;

/** Keys of FlowMatchEulerDiscreteScheduler's config, all with defaults. */
export type FlowMatchEulerDiscreteConfig = ConfigOf<(typeof KEYS)[number]>;
/** Keys of FlowMatchHeunDiscreteScheduler's config, all with defaults. */
export type FlowMatchHeunDiscreteConfig = ConfigOf<(typeof HEUN_KEYS)[number]>;

/**
 * Flow matching on straight lines (Lipman et al. 2023; Liu et al. 2023): x = (1 - sigma) x0 + sigma epsilon, and the
 * network predicts the line's direction u = epsilon - x0 = dx / dsigma. Timesteps are sigma T.
 */
abstract class FlowMatchScheduler<Config extends object> extends BaseScheduler<Config> {
  static override readonly traits: SchedulerTraits = { network: "flow", stochastic: false };
  readonly alphaBar: Float64Array;

  constructor(spec: ConfigSpec, config: object) {
    super(spec, config);
    const T = this.settings.num_train_timesteps;
    this.alphaBar = Float64Array.from({ length: T }, (_, t) => {
      const { alpha, sigma } = this.levelAt(t + 1);
      return alpha ** 2 / (alpha ** 2 + sigma ** 2);
    });
  }

  /**
   * Times are noise levels from 0 to 1. A shift changes which levels are visited, not what the network learns at a
   * level.
   */
  get training(): TrainingRule {
    const T = this.settings.num_train_timesteps;
    return {
      predicts: "flow_prediction",
      drawTime: uniformTimes(),
      at: (sigma) => trainingLevel("flow_prediction", { alpha: 1 - sigma, sigma }, sigma * T),
    };
  }

  protected levelAt(t: number): Level {
    const T = this.settings.num_train_timesteps;
    if (!(t >= 0 && t <= T)) throw new RangeError(`Timestep ${t} is out of range; give numbers from 0 to ${T}.`);
    return { alpha: 1 - t / T, sigma: t / T };
  }

  /** The clean sample that an output implies for x; the caller owns it. */
  override predictX0(output: tf.Tensor, x: tf.Tensor, level: Level): tf.Tensor {
    return predictX0("flow_prediction", output, x, level);
  }

  /** Noise levels without the final 0. As published, the range is shifted once, and then the levels in it once more. */
  protected levels(request: PlanRequest, { mu }: PlanOptions = {}): { timesteps: number[]; sigmas: number[] } {
    const { num_train_timesteps: T, shift, use_dynamic_shifting } = this.settings;
    const { steps, timesteps, sigmas } = requireRequest(request, "steps", "timesteps", "sigmas");
    const own = sigmas ?? timesteps?.map((t) => t / T);
    if (own) requireUnit(own);
    else requireStepCount(steps, T);
    const least = use_dynamic_shifting ? 1 / T : shift / T / (1 + (shift - 1) / T);
    const even = (n: number) => Array.from({ length: n }, (_, i) => 1 + (n === 1 ? 0 : i / (n - 1)) * (least - 1));
    const shifted = timeShift(own ?? even(steps!), this.settings, shift, mu);
    const levels = (requestedSigmas(this.settings, shifted.length, shifted[0]!, shifted.at(-1)!) ?? shifted).map(
      Math.fround,
    );
    return { sigmas: levels, timesteps: timesteps ? [...timesteps] : levels.map((sigma) => Math.fround(sigma * T)) };
  }
}

function requireUnit(sigmas: readonly number[]): void {
  const bad = sigmas.findIndex((sigma, i) => !(sigma > 0 && sigma <= 1) || (i > 0 && sigma >= sigmas[i - 1]!));
  if (sigmas.length === 0 || bad >= 0) {
    throw new RangeError(
      `plan: ${bad < 0 ? "the list is empty" : `entry ${bad} is the noise level ${sigmas[bad]}`}; give descending levels from at most 1 to above 0 ` +
        "(timesteps: times T), without the final 0, which is added.",
    );
  }
}

/**
 * Euler's method along the flow (Stable Diffusion 3: Esser et al. 2024). With stochastic_sampling, each level gets
 * fresh noise.
 */
export class FlowMatchEulerDiscreteScheduler extends FlowMatchScheduler<FlowMatchEulerDiscreteConfig> {
  constructor(config: Partial<FlowMatchEulerDiscreteConfig> = {}) {
    super({ className: "FlowMatchEulerDiscreteScheduler", keys: KEYS, defaults: {} }, config);
  }

  override get traits(): SchedulerTraits {
    return { ...super.traits, stochastic: this.settings.stochastic_sampling };
  }

  plan(request: PlanRequest, options?: PlanOptions): Plan {
    const { num_train_timesteps: T, invert_sigmas, stochastic_sampling } = this.settings;
    const levels = this.levels(request, options);
    const sigmas = invert_sigmas ? [...levels.sigmas.map((sigma) => 1 - sigma), 1] : [...levels.sigmas, 0];
    return makePlan({
      timesteps: invert_sigmas ? sigmas.slice(0, -1).map((sigma) => Math.fround(sigma * T)) : levels.timesteps,
      sigmas,
      level: (i) => ({ alpha: 1 - sigmas[i]!, sigma: sigmas[i]! }),
      update: ({ x, output, i, fresh }) => {
        const [sigma, next] = [sigmas[i]!, sigmas[i + 1]!];
        if (!stochastic_sampling) return { x: combine([1, x], [next - sigma, output]) };
        const x0 = x0Of("flow_prediction", output, x, { alpha: 1 - sigma, sigma });
        return { x: combine([1 - next, x0], [next, fresh()]) };
      },
    });
  }
}

/** Heun's method along the flow, with optional churn. */
export class FlowMatchHeunDiscreteScheduler extends FlowMatchScheduler<FlowMatchHeunDiscreteConfig> {
  constructor(config: Partial<FlowMatchHeunDiscreteConfig> = {}) {
    super({ className: "FlowMatchHeunDiscreteScheduler", keys: HEUN_KEYS, defaults: {} }, config);
  }

  plan(request: PlanRequest): Plan {
    const levels = this.levels(request);
    const calls = 2 * levels.timesteps.length - 1;
    const timesteps = atBothEnds(levels.timesteps, calls);
    const sigmas = atBothEnds([...levels.sigmas, 0], calls + 1);
    return makePlan({
      timesteps,
      stepStarts: everySecond(timesteps),
      sigmas,
      level: (i) => ({ alpha: 1 - sigmas[i]!, sigma: sigmas[i]! }),
      update: (call) => {
        const first = call.i - (call.i % 2);
        // As published, the second call also draws noise but does not use it.
        const churned = churn({ ...call, i: first }, sigmas);
        const raised = sigmas.map((sigma, i) => (i === first ? churned.sigma : sigma));
        if (call.i > first) return heunStep(call, call.output, raised);
        return heunStep({ ...call, x: churned.x }, sum([sigmas[first]! / churned.sigma, call.output]), raised);
      },
    });
  }
}
