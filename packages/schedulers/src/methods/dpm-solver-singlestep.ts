import type * as tf from "@tensorflow/tfjs";
import { combine, computed, type Quantity, sum, type Term } from "../combine.js";
import type { ConfigOf } from "../config.js";
import { requireDataPrediction } from "./dpm-algorithm.js";
import { difference } from "./dpm-solver.js";
import { type Algorithm, exponentialStep, type ExponentialStep } from "../numerics/exponential-integrator.js";
import { makePlan } from "../plan.js";
import type { Plan, PlanOptions, PlanRequest } from "../scheduler.js";
import { DYNAMIC_SHIFT_KEYS, SOLVER_KEYS, type SolverLevel, SolverScheduler } from "../solver-scheduler.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [
  ...SOLVER_KEYS,
  ...DYNAMIC_SHIFT_KEYS,
  "solver_order",
  "algorithm_type",
  "solver_type",
  "final_sigmas_type",
  "lambda_min_clipped",
  "variance_type",
] as const;
const DEFAULTS = { lower_order_final: false, variance_type: null } as const;

/** Keys of DPMSolverSinglestepScheduler's config, all with defaults. */
export type DPMSolverSinglestepConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * DPM-Solver++ in its single-step forms (Lu et al. 2022a, algorithms 1 and 2; 2022b): each block of 2 or 3 calls is a
 * Runge-Kutta step from the block's first x, and needs no older outputs.
 */
export class DPMSolverSinglestepScheduler extends SolverScheduler<DPMSolverSinglestepConfig> {
  readonly #algorithm: Algorithm;

  constructor(config: Partial<DPMSolverSinglestepConfig> = {}) {
    super({ className: "DPMSolverSinglestepScheduler", keys: KEYS, defaults: DEFAULTS }, config);
    this.#algorithm = requireDataPrediction(this.config._class_name, this.settings);
  }

  /** The method has no key timestep_spacing. */
  protected override get timestepSpacing() {
    return "linspace" as const;
  }

  /** As published, even if the noise levels are computed. */
  protected override lastSigma(): number {
    return this.leastTrainedSigma;
  }

  override get traits(): SchedulerTraits {
    return { ...super.traits, stochastic: this.#algorithm.stochastic };
  }

  plan(request: PlanRequest, options?: PlanOptions): Plan {
    const { timesteps, sigmas } = this.levels(request, options);
    const levels = sigmas.map((sigma) => this.solverLevel(sigma));
    const orders = this.#orders(timesteps.length, sigmas.at(-1) === 0);
    return makePlan({
      timesteps,
      sigmas,
      level: (i) => levels[i]!,
      learnedVariance: true,
      update: (call) => {
        const { i, history } = call;
        const output: Quantity =
          this.#algorithm.predicts === "x0" ? this.x0(call, levels[i]!) : this.epsilon(call, levels[i]!);
        // History: the block's first x, then its outputs. A resumed run has no history and starts a new block.
        const order = Math.min(orders[i]!, Math.max(1, history.length));
        const start = order === 1 ? call.x : history[0]!;
        const continues = (orders[i + 1] ?? 1) > 1;
        const outputs = [continues ? computed(output) : output, ...(order === 1 ? [] : history.slice(1))];
        const step = exponentialStep(this.#algorithm, levels[i - order + 1]!, levels[i + 1]!);
        const terms = this.#terms(levels.slice(i - order + 1, i + 1), [...outputs].reverse(), step, options?.curvature);
        const noise: Term[] = this.#algorithm.stochastic ? [[step.ofNoise, call.fresh()]] : [];
        return {
          x: combine([step.ofX, start], ...terms, ...noise),
          history: continues ? [start, ...(outputs as tf.Tensor[])] : [],
        };
      },
    });
  }

  /** Weights of a block's outputs m0, m1, m2, oldest first, at levels s0, s1, s2. */
  #terms(
    [s0, s1, s2]: readonly SolverLevel[],
    [m0, m1, m2]: readonly Quantity[],
    step: ExponentialStep,
    curvature: PlanOptions["curvature"],
  ): Term[] {
    const heun = this.settings.solver_type === "heun";
    if (!s1) return [[step.ofOutput, m0!]];
    const r1 = (s1.lambda - s0!.lambda) / step.h;
    const slopeTo1 = difference(m1!, m0!, r1);
    if (!s2)
      return [
        [step.ofOutput, m0!],
        [heun ? step.ofSlope : step.ofSlopeMidpoint, slopeTo1],
      ];
    const r2 = (s2.lambda - s0!.lambda) / step.h;
    const slopeTo2 = difference(m2!, m0!, r2);
    if (!heun)
      return [
        [step.ofOutput, m0!],
        [step.ofSlope, slopeTo2],
      ];
    const slope = sum([r2 / (r2 - r1), slopeTo1], [-r1 / (r2 - r1), slopeTo2]);
    const curve = sum([2 / (r2 - r1), slopeTo2], [-2 / (r2 - r1), slopeTo1]);
    const ofCurve = curvature === "exact" ? step.ofCurvature : step.ofCurvaturePublished;
    return [
      [step.ofOutput, m0!],
      [step.ofSlope, slope],
      [ofCurve, curve],
    ];
  }

  /**
   * Order of each step; 1 starts a block. It is lower for steps that do not fill a block, and for a last step to noise
   * level 0.
   */
  #orders(n: number, zero: boolean): number[] {
    const { solver_order: order, lower_order_final } = this.settings;
    const orders = Array.from({ length: n }, (_, i) => (i % order) + 1);
    if (zero || (lower_order_final && n % order === 0)) orders[n - 1] = 1;
    return orders;
  }
}
