import type * as tf from "@tensorflow/tfjs";
import { combine, computed, type Quantity, type Sum, type Term } from "../combine.js";
import { type ConfigOf, SPACING_KEYS } from "../config.js";
import { difference } from "./dpm-solver.js";
import { ALGORITHMS, exponentialStep } from "../numerics/exponential-integrator.js";
import { SchedulerConfigError } from "../errors.js";
import { solveLinear } from "../numerics/linear-system.js";
import { type Call, makePlan } from "../plan.js";
import type { Plan, PlanOptions, PlanRequest } from "../scheduler.js";
import {
  DYNAMIC_SHIFT_KEYS,
  fallToLastTimestep,
  SOLVER_KEYS,
  type SolverLevel,
  SolverScheduler,
} from "../solver-scheduler.js";

const KEYS = [
  ...SOLVER_KEYS,
  ...SPACING_KEYS,
  ...DYNAMIC_SHIFT_KEYS,
  "solver_order",
  "predict_x0",
  "solver_type",
  "disable_corrector",
  "solver_p",
  "final_sigmas_type",
  "rescale_betas_zero_snr",
  "sigma_min",
  "sigma_max",
  "shift_terminal",
] as const;
const DEFAULTS = { timestep_spacing: "linspace", solver_type: "bh2" } as const;

/** Keys of UniPCMultistepScheduler's config, all with defaults. */
export type UniPCMultistepConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * UniPC (Zhao et al. 2023, algorithms 1 and 2): a multi-step predictor. The output at its result, which the next step
 * needs anyway, corrects it and raises the order by one.
 */
export class UniPCMultistepScheduler extends SolverScheduler<UniPCMultistepConfig> {
  constructor(config: Partial<UniPCMultistepConfig> = {}) {
    super({ className: "UniPCMultistepScheduler", keys: KEYS, defaults: DEFAULTS }, config);
  }

  /** As published, thresholding does not apply to a predicted noise. */
  protected override epsilon(call: Call, level: SolverLevel): Quantity {
    return this.unlimitedEpsilon(call, level);
  }

  /** The first level is slightly below 1, because at 1 alpha is 0 and lambda is infinite. */
  protected override flowSigmas(n: number, options: PlanOptions): number[] {
    const [first, ...rest] = super.flowSigmas(n, options);
    return [Math.abs(first! - 1) < 1e-6 ? 1 - 1e-6 : first!, ...rest];
  }

  protected override evenFlowSigmas(n: number): number[] {
    return fallToLastTimestep(n, this.settings.num_train_timesteps).slice(0, -1);
  }

  plan(request: PlanRequest, options?: PlanOptions): Plan {
    const { solver_order, lower_order_final, disable_corrector, predict_x0 } = this.settings;
    const { timesteps, sigmas } = this.levels(request, options);
    const levels = sigmas.map((sigma) => this.solverLevel(sigma));
    if (!predict_x0 && sigmas.at(-1) === 0) {
      throw new SchedulerConfigError(
        "UniPCMultistepScheduler: with predict_x0 false it cannot step to a noise level of 0, where epsilon is undefined. " +
          "Set final_sigmas_type to sigma_min, or predict_x0 to true.",
      );
    }
    const orderAt = (i: number, known: number) =>
      // No slope is defined for a step to noise level 0, where lambda is infinite, or to the same level.
      sigmas[i + 1] === 0 || sigmas[i + 1] === sigmas[i]
        ? 1
        : Math.min(lower_order_final ? Math.min(solver_order, timesteps.length - i) : solver_order, known);
    return makePlan({
      timesteps,
      sigmas,
      level: (i) => levels[i]!,
      learnedVariance: true,
      update: (call) => {
        const { i } = call;
        const [start, ...outputs] = call.history;
        const output = computed(predict_x0 ? this.x0(call, levels[i]!) : this.epsilon(call, levels[i]!));
        // Step i - 1 led from `start` to call.x; the output at call.x corrects that step.
        const corrects = start !== undefined && !disable_corrector.includes(i - 1);
        const x = corrects
          ? this.#correct(start, output, outputs, levels.slice(0, i + 1), orderAt(i - 1, outputs.length))
          : call.x;
        const known = [output, ...outputs].slice(0, solver_order);
        const next = this.#predict(x, known, levels.slice(0, i + 2), orderAt(i, known.length));
        return { x: next, history: [x, ...known] };
      },
    });
  }

  /** UniP: the step to the last level, with the outputs m before it, newest first (their algorithm 2). */
  #predict(x: tf.Tensor, m: readonly tf.Tensor[], levels: readonly SolverLevel[], order: number): tf.Tensor {
    return this.#step(x, m[0]!, this.#differences(m, levels, order), levels);
  }

  /** UniC: the same step again, with the output at its end (their algorithm 1). */
  #correct(
    x: tf.Tensor,
    mAtEnd: tf.Tensor,
    m: readonly tf.Tensor[],
    levels: readonly SolverLevel[],
    order: number,
  ): tf.Tensor {
    const atEnd = { r: 1, difference: difference(mAtEnd, m[0]!, 1) };
    return this.#step(x, m[0]!, [...this.#differences(m, levels, order), atEnd], levels);
  }

  /** D_k / r_k = (m_k - m_0) / r_k, with r_k = (lambda_k - lambda_0) / h, for the outputs before the newest. */
  #differences(m: readonly tf.Tensor[], levels: readonly SolverLevel[], order: number): Difference[] {
    const [s, t] = levels.slice(-2) as [SolverLevel, SolverLevel];
    return Array.from({ length: order - 1 }, (_, k) => {
      const r = (levels.at(-3 - k)!.lambda - s.lambda) / (t.lambda - s.lambda);
      return { r, difference: difference(m[k + 1]!, m[0]!, r) };
    });
  }

  /** From level s to t: the first-order step, and the differences with the weights a of their eq. 5. */
  #step(x: tf.Tensor, m0: tf.Tensor, differences: readonly Difference[], levels: readonly SolverLevel[]): tf.Tensor {
    const { predict_x0, solver_type } = this.settings;
    const [s, t] = levels.slice(-2) as [SolverLevel, SolverLevel];
    const { h, ofX, ofOutput } = exponentialStep(ALGORITHMS[predict_x0 ? "dpmsolver++" : "dpmsolver"], s, t);
    const z = predict_x0 ? -h : h;
    const b = solver_type === "bh1" ? z : Math.expm1(z);
    const a = unifiedWeights(
      differences.map(({ r }) => r),
      z,
      b,
    );
    const scale = -(predict_x0 ? t.alpha : t.sigma) * b;
    return combine(
      [ofX, x],
      [ofOutput, m0],
      ...differences.map(({ difference }, k): Term => [scale * a[k]!, difference]),
    );
  }
}

/** A difference between two outputs, divided by their distance r in lambda, in units of the step. */
interface Difference {
  readonly r: number;
  readonly difference: Sum;
}

/**
 * Weights a of the differences with sum over k of a_k r_k^(n - 1) = n! phi_(n+1)(z) / B(z), n = 1 to the number of
 * ratios.
 */
function unifiedWeights(ratios: readonly number[], z: number, b: number): number[] {
  // With one ratio, the published code takes 1/2, the limit for small steps.
  if (ratios.length <= 1) return ratios.map(() => 0.5);
  const right: number[] = [];
  let [phi, factorial] = [Math.expm1(z) / z - 1, 1];
  for (let n = 1; n <= ratios.length; n++) {
    right.push((phi * factorial) / b);
    factorial *= n + 1;
    phi = phi / z - 1 / factorial;
  }
  return solveLinear(
    right.map((_, n) => ratios.map((r) => r ** n)),
    right,
  );
}
