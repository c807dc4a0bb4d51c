import type * as tf from "@tensorflow/tfjs";
import { combine, computed } from "../combine.js";
import { type ConfigOf, SPACING_KEYS } from "../config.js";
import { exponentialMoments, lagrangeIntegrals } from "../numerics/lagrange.js";
import { makePlan } from "../plan.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { SOLVER_KEYS, type SolverLevel, SolverScheduler } from "../solver-scheduler.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [
  ...SOLVER_KEYS,
  ...SPACING_KEYS,
  "predictor_order",
  "corrector_order",
  "tau_func",
  "algorithm_type",
  "lambda_min_clipped",
  "variance_type",
] as const;
const DEFAULTS = { timestep_spacing: "linspace", algorithm_type: "data_prediction", variance_type: null } as const;

/** Keys of SASolverScheduler's config, all with defaults. */
export type SASolverConfig = ConfigOf<(typeof KEYS)[number]>;

/** Share of noise in the equation that is solved: SDE in the middle, ODE at both ends (Xue et al. 2023, section 6). */
const tauAt = (t: number): number => (t >= 200 && t <= 800 ? 1 : 0);

/**
 * SA-Solver (Xue et al. 2023): stochastic Adams. An Adams-Bashforth predictor, corrected by Adams-Moulton once the next
 * output is known, with the same noise.
 */
export class SASolverScheduler extends SolverScheduler<SASolverConfig> {
  static override readonly traits: SchedulerTraits = { network: "timestep", stochastic: true };
  constructor(config: Partial<SASolverConfig> = {}) {
    super({ className: "SASolverScheduler", keys: KEYS, defaults: DEFAULTS }, config);
  }

  /** The integrals diverge at a noise level of 0. */
  protected override get reachesZero(): boolean {
    return false;
  }

  plan(request: PlanRequest): Plan {
    const { predictor_order, corrector_order, lower_order_final } = this.settings;
    const { timesteps, sigmas } = this.levels(request);
    const levels = sigmas.map((sigma) => this.solverLevel(sigma));
    const left = (i: number) => (lower_order_final ? timesteps.length - i : Infinity);
    return makePlan({
      timesteps,
      sigmas,
      level: (i) => levels[i]!,
      learnedVariance: true,
      update: (call) => {
        const { i, history, fresh } = call;
        const [start, lastNoise, ...outputs] = history;
        const output = computed(this.#noisePrediction ? this.epsilon(call, levels[i]!) : this.x0(call, levels[i]!));
        const known = [output, ...outputs];
        let x = call.x;
        if (start) {
          const order = Math.min(corrector_order, left(i - 1) + 1, known.length);
          x = this.#move(start, lastNoise!, known.slice(0, order), levels, [i - 1, i], i, tauAt(timesteps[i - 1]!));
        }
        const noise = fresh();
        const order = Math.min(predictor_order, left(i), known.length);
        const next = this.#move(x, noise, known.slice(0, order), levels, [i, i + 1], i, tauAt(timesteps[i]!));
        return { x: next, history: [x, noise, ...known.slice(0, Math.max(predictor_order, corrector_order - 1))] };
      },
    });
  }

  get #noisePrediction(): boolean {
    return this.settings.algorithm_type === "noise_prediction";
  }

  /**
   * The step between two levels (Xue et al. 2023, eqs. 14 and 17), with outputs at `newest` and the levels before it.
   */
  #move(
    x: tf.Tensor,
    noise: tf.Tensor,
    outputs: readonly tf.Tensor[],
    levels: readonly SolverLevel[],
    [from, to]: readonly [number, number],
    newest: number,
    tau: number,
  ): tf.Tensor {
    const [s, t] = [levels[from]!, levels[to]!];
    const h = t.lambda - s.lambda;
    const nodes = outputs.map((_, k) => levels[newest - k]!.lambda - s.lambda);
    const k = 1 + tau ** 2;
    if (this.#noisePrediction) {
      const integrals = lagrangeIntegrals(nodes, exponentialMoments(outputs.length, h, -1));
      const scale = (-k * t.alpha * s.sigma) / s.alpha; // sigma / alpha = e^-lambda
      const terms = outputs.map((output, j) => [scale * integrals[j]!, output] as const);
      return combine([t.alpha / s.alpha, x], ...terms, [tau * t.sigma * Math.sqrt(Math.expm1(2 * h)), noise]);
    }
    // Integrals of e^(k (lambda - lambda_t)); the shift by lambda_t avoids overflow.
    const integrals = lagrangeIntegrals(nodes, exponentialMoments(outputs.length, h, k)).map(
      (value) => value * Math.exp(-k * h),
    );
    if (outputs.length === 2) {
      // The published code refines the two-point rules: exact for a linear output, up to second order in the step.
      const refinement = (h ** 2 / 2 - (h * k - 1 + Math.exp(-k * h)) / k ** 2) / (nodes[0]! - nodes[1]!);
      integrals[0]! += refinement;
      integrals[1]! -= refinement;
    }
    const terms = outputs.map((output, j) => [k * t.alpha * integrals[j]!, output] as const);
    const ofX = Math.exp(-(tau ** 2) * h) * (t.sigma / s.sigma);
    return combine([ofX, x], ...terms, [t.sigma * Math.sqrt(-Math.expm1(-2 * tau ** 2 * h)), noise]);
  }
}
