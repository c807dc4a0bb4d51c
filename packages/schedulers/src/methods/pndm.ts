import type * as tf from "@tensorflow/tfjs";
import { adamsBashforth } from "../numerics/adams-bashforth.js";
import { combine, type Quantity, sum } from "../combine.js";
import { BETA_KEYS, type ConfigOf, SPACING_KEYS } from "../config.js";
import { type Call, makePlan } from "../plan.js";
import { levelOf, epsilonOf } from "../prediction.js";
import { sigmaOf } from "../schedule.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { requireRequest } from "../spacing.js";
import { TrainedScheduler } from "../trained.js";

const KEYS = [...BETA_KEYS, "skip_prk_steps", "set_alpha_to_one", "prediction_type", ...SPACING_KEYS] as const;

/** Keys of PNDMScheduler's config, all with defaults. */
export type PNDMConfig = ConfigOf<(typeof KEYS)[number]>;

/** Slopes that the Adams-Bashforth rule keeps. A longer history marks a run that was resumed one call ago. */
const KEPT_SLOPES = 3;

/** A step of DDIM, from one timestep to another. */
interface Step {
  readonly from: number;
  readonly to: number;
}

/** One call of the network: at timestep t, to make this step by this rule. */
interface PlannedCall extends Step {
  readonly t: number;
  readonly rule: "runge-kutta" | "first" | "repeat" | "adams-bashforth";
}

type Given = Pick<Call, "x" | "output" | "history">;
type Made = { x: tf.Tensor; history?: tf.Tensor[] };

/**
 * Pseudo numerical methods for diffusion models (Liu et al. 2022, algorithm 2): the four-step Adams-Bashforth rule,
 * with DDIM's transfer in place of the Euler step. The first slopes come from pseudo Runge-Kutta steps of four calls
 * each. With skip_prk_steps (as in Stable Diffusion) they come from one DDIM step, which is repeated with the mean
 * slope.
 */
export class PNDMScheduler extends TrainedScheduler<PNDMConfig> {
  constructor(config: Partial<PNDMConfig> = {}) {
    super({ className: "PNDMScheduler", keys: KEYS, defaults: { set_alpha_to_one: false } }, config);
  }

  plan(request: PlanRequest): Plan {
    const { steps } = requireRequest(request, "steps");
    const even = this.visited(request);
    const stride = Math.floor(this.settings.num_train_timesteps / steps!);
    if (!this.settings.skip_prk_steps && steps! < 4) {
      throw new RangeError(
        `plan(${steps}): PNDMScheduler starts with three Runge-Kutta steps and needs 4 or more; plan those, or set skip_prk_steps to true.`,
      );
    }
    const calls = this.settings.skip_prk_steps ? plmsOnly(even, stride) : withRungeKutta(even, stride);
    const bars = calls.map(({ t }) => this.#barAt(t));
    return makePlan({
      timesteps: calls.map(({ t }) => t),
      // The repeated step counts as a separate step, as in diffusers: strength 0.5 of 20 steps skips 10 calls.
      stepStarts: calls.flatMap(({ rule }, i) => (rule === "runge-kutta" && i % 4 > 0 ? [] : [i])),
      sigmas: [...bars, this.#barAt(calls.at(-1)!.to)].map(sigmaOf),
      level: (i) => levelOf(bars[i]!),
      update: (call) => {
        const { rule, ...step } = calls[call.i]!;
        switch (rule) {
          case "runge-kutta":
            return this.#rungeKutta(call, step);
          case "first":
            return this.#first(call, step);
          case "repeat":
            return this.#repeat(call, step);
          case "adams-bashforth":
            return this.#adamsBashforth(call, step);
        }
      },
    });
  }

  #barAt(t: number): number {
    return t >= 0 ? this.alphaBar[t]! : this.settings.set_alpha_to_one ? 1 : this.alphaBar[0]!;
  }

  /** Call 1 to 4 of a step; history: [its first x, the mean slope so far], then the first slopes of earlier steps. */
  #rungeKutta({ x, output, i, history }: Call, step: Step): Made {
    const stage = i % 4;
    if (stage === 0)
      return { x: this.#transfer(x, output, step), history: [x, combine([1 / 6, output]), output, ...history] };
    if (history.length < 3)
      throw new RangeError(`Step ${i} is inside a Runge-Kutta step; resume at step ${i - stage}.`);
    const [start, mean, ...slopes] = history as [tf.Tensor, tf.Tensor, ...tf.Tensor[]];
    const total = combine([1, mean], [stage === 3 ? 1 / 6 : 1 / 3, output]);
    if (stage === 3) return { x: this.#transfer(start, total, step), history: slopes };
    return { x: this.#transfer(start, output, step), history: [start, total, ...slopes] };
  }

  /** DDIM's step, with its x and its slope kept for {@link #repeat}. */
  #first({ x, output }: Given, step: Step): Made {
    return { x: this.#transfer(x, output, step), history: [x, output] };
  }

  /** The first step once more, with the mean of the slopes at its two ends. */
  #repeat({ x, output, history }: Given, step: Step): Made {
    if (history.length === 0) return { x }; // Resumed here: there is no step to repeat.
    const [start, slope] = history as [tf.Tensor, tf.Tensor];
    return { x: this.#transfer(start, sum([0.5, output], [0.5, slope]), step), history: [slope] };
  }

  /**
   * History: the last slopes, newest first. A resumed run treats its first two calls as diffusers does: the first is
   * used for all earlier slopes, the second repeats the step, and all later ones lag a step behind their timesteps.
   */
  #adamsBashforth({ x, output, history }: Given, step: Step): Made {
    if (history.length === 0) {
      return { x: this.#transfer(x, output, step), history: [x, ...Array<tf.Tensor>(KEPT_SLOPES).fill(output)] };
    }
    if (history.length > KEPT_SLOPES) {
      const before = { from: 2 * step.from - step.to, to: step.from };
      return this.#repeat({ x, output, history: history.slice(0, 2) }, before);
    }
    const slopes = [output, ...history].slice(0, KEPT_SLOPES + 1);
    return { x: this.#transfer(x, adamsBashforth(slopes), step), history: slopes.slice(0, KEPT_SLOPES) };
  }

  /** DDIM's step along a slope (Liu et al. 2022, eq. 11), written to avoid 0 / 0 at equal levels. */
  #transfer(x: tf.Tensor, slope: Quantity, { from, to }: Step): tf.Tensor {
    const [a, b] = [this.#barAt(from), this.#barAt(to)];
    const epsilon = epsilonOf(this.settings.prediction_type, slope, x, levelOf(a));
    const divisor = a * Math.sqrt(1 - b) + Math.sqrt(a * (1 - a) * b);
    return combine([Math.sqrt(b / a), x], [-(b - a) / divisor, epsilon]);
  }
}

/** The second timestep is visited twice, to repeat the first step with the mean of the slopes at its ends. */
function plmsOnly(even: readonly number[], stride: number): PlannedCall[] {
  const [first, second, ...rest] = even;
  const start: PlannedCall = { t: first!, rule: "first", from: first!, to: first! - stride };
  if (second === undefined) return [start];
  return [
    start,
    { t: second, rule: "repeat", from: second + stride, to: second },
    ...[second, ...rest].map((t) => multiStep(t, stride)),
  ];
}

/** The first three steps take four calls each: at their start, twice at their middle, and at their end. */
function withRungeKutta(even: readonly number[], stride: number): PlannedCall[] {
  const half = Math.floor(stride / 2);
  const edges = even.slice(0, 4);
  const stages = edges.slice(0, 3).flatMap((from, k): PlannedCall[] => {
    const to = edges[k + 1]!;
    const middle = to + half;
    return [from, middle, middle, to].map((t, stage) => ({
      t,
      rule: "runge-kutta",
      from,
      to: stage % 2 === 0 ? t - half : t,
    }));
  });
  return [...stages, ...even.slice(3).map((t) => multiStep(t, stride))];
}

function multiStep(t: number, stride: number): PlannedCall {
  return { t, rule: "adams-bashforth", from: t, to: t - stride };
}
