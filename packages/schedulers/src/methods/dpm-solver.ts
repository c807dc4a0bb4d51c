import type * as tf from "@tensorflow/tfjs";
import { combine, computed, type Quantity, type Sum, sum, type Term } from "../combine.js";
import { type ConfigOf, SPACING_KEYS } from "../config.js";
import { requireDataPrediction } from "./dpm-algorithm.js";
import { type Algorithm, exponentialStep, type ExponentialStep } from "../numerics/exponential-integrator.js";
import { type Call, makePlan, type PlanParts } from "../plan.js";
import type { Plan, PlanOptions, PlanRequest } from "../scheduler.js";
import type { NoiseLevels } from "../sigma-scheduler.js";
import { DYNAMIC_SHIFT_KEYS, SOLVER_KEYS, type SolverLevel, SolverScheduler } from "../solver-scheduler.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [
  ...SOLVER_KEYS,
  ...SPACING_KEYS,
  ...DYNAMIC_SHIFT_KEYS,
  "solver_order",
  "algorithm_type",
  "solver_type",
  "euler_at_final",
  "use_lu_lambdas",
  "final_sigmas_type",
  "lambda_min_clipped",
  "variance_type",
  "rescale_betas_zero_snr",
] as const;
const DEFAULTS = { timestep_spacing: "linspace", variance_type: null } as const;

/** Keys of DPMSolverMultistepScheduler's config, all with defaults. */
export type DPMSolverMultistepConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * DPM-Solver and DPM-Solver++ in their multi-step forms (Lu et al. 2022a, 2022b), of orders 1 to 3, and their
 * stochastic forms. The linear part of the diffusion equation is solved exactly; the network's part is a polynomial
 * through the last outputs.
 */
export class DPMSolverMultistepScheduler extends SolverScheduler<DPMSolverMultistepConfig> {
  readonly #algorithm: Algorithm;

  constructor(config: Partial<DPMSolverMultistepConfig> = {}) {
    super({ className: "DPMSolverMultistepScheduler", keys: KEYS, defaults: DEFAULTS }, config);
    this.#algorithm = requireDataPrediction(this.config._class_name, this.settings);
  }

  /** As published, even if the noise levels are computed. */
  protected override lastSigma(): number {
    return this.leastTrainedSigma;
  }

  /** As published, not rounded for the cosine schedule. */
  protected override timestepOf(sigma: number): number {
    const isCosine = this.settings.beta_schedule === "squaredcos_cap_v2";
    return isCosine ? this.fractionalTimestepOf(sigma) : super.timestepOf(sigma);
  }

  override get traits(): SchedulerTraits {
    return { ...super.traits, stochastic: this.#algorithm.stochastic };
  }

  plan(request: PlanRequest, options?: PlanOptions): Plan {
    const noiseLevels = this.levels(request, options);
    return multistepPlan(
      noiseLevels,
      noiseLevels.sigmas.map((sigma) => this.solverLevel(sigma)),
      {
        ...this.settings,
        curvature: options?.curvature,
        algorithm: this.#algorithm,
        outputOf: (call, level) =>
          this.#algorithm.predicts === "x0" ? this.x0(call, level) : this.epsilon(call, level),
      },
      { learnedVariance: true },
    );
  }
}

interface Multistep {
  readonly solver_order: number;
  readonly solver_type: string;
  readonly lower_order_final: boolean;
  readonly euler_at_final: boolean;
  readonly algorithm: Algorithm;
  readonly curvature?: PlanOptions["curvature"];
  /** The quantity that the method integrates: x0 or epsilon. */
  readonly outputOf: (call: Call, level: SolverLevel) => Quantity;
}

/** A multi-step plan over given noise levels; history holds the outputs that the order needs. */
export function multistepPlan(
  { timesteps, sigmas }: NoiseLevels,
  levels: readonly SolverLevel[],
  method: Multistep,
  extra: Pick<PlanParts, "initNoiseSigma" | "inputScale" | "learnedVariance"> = {},
): Plan {
  return makePlan({
    timesteps,
    sigmas,
    ...extra,
    level: (i) => levels[i]!,
    update: (call) => {
      const { i, x, history } = call;
      const { outputs, remembered } = lastOutputs(method.solver_order, method.outputOf(call, levels[i]!), history);
      const step = exponentialStep(method.algorithm, levels[i]!, levels[i + 1]!);
      // Some plans have the same noise level twice at the end. The last step then has length 0, and no slope is defined
      // for it.
      const highest = step.h === 0 ? 1 : multistepOrder(method, i, timesteps.length, sigmas.at(-1) === 0);
      const order = Math.min(outputs.length, highest);
      const terms = multistepTerms(step, levels.slice(i + 1 - order, i + 1).reverse(), outputs, method);
      const noise: Term[] = method.algorithm.stochastic ? [[step.ofNoise, call.fresh()]] : [];
      return { x: combine([step.ofX, x], ...terms, ...noise), history: remembered };
    },
  });
}

/**
 * The last outputs, newest first, and those to keep for the next step. An output that is not kept remains an uncomputed
 * sum.
 */
export function lastOutputs(
  order: number,
  newest: Quantity,
  history: readonly tf.Tensor[],
): { outputs: Quantity[]; remembered: tf.Tensor[] } {
  if (order === 1) return { outputs: [newest], remembered: [] };
  const outputs = [computed(newest), ...history];
  return { outputs, remembered: outputs.slice(0, order - 1) };
}

/**
 * Order of step i of n. It is lower at the end if there are few steps, and 1 for a step to noise level 0, where lambda
 * is infinite.
 */
export function multistepOrder(
  {
    solver_order,
    lower_order_final,
    euler_at_final,
  }: Pick<Multistep, "solver_order" | "lower_order_final" | "euler_at_final">,
  i: number,
  n: number,
  zeroAtEnd = false,
): number {
  const few = lower_order_final && n < 15;
  if (i === n - 1 && (euler_at_final || few || zeroAtEnd)) return 1;
  return i === n - 2 && few ? Math.min(solver_order, 2) : solver_order;
}

/**
 * Weights of the last outputs m0, m1, m2, at levels s0, s1, s2 (Lu et al. 2022b, algorithm 2; third order: their
 * appendix). The output's derivatives over lambda, in units of the step h, are those of the polynomial through the
 * outputs.
 */
function multistepTerms(
  step: ExponentialStep,
  [s0, s1, s2]: readonly SolverLevel[],
  outputs: readonly Quantity[],
  { solver_type, curvature }: Pick<Multistep, "solver_type" | "curvature">,
): Term[] {
  const [m0, m1, m2] = outputs as [Quantity, Quantity, Quantity];
  if (!s1) return [[step.ofOutput, m0]];
  const r0 = (s0!.lambda - s1.lambda) / step.h;
  const slopeOf01 = difference(m0, m1, r0);
  if (!s2)
    return [
      [step.ofOutput, m0],
      [solver_type === "heun" ? step.ofSlope : step.ofSlopeMidpoint, slopeOf01],
    ];
  const r1 = (s1.lambda - s2.lambda) / step.h;
  const slopeOf12 = difference(m1, m2, r1);
  const slope = sum([1 + r0 / (r0 + r1), slopeOf01], [-r0 / (r0 + r1), slopeOf12]);
  const halfCurvature = sum([1 / (r0 + r1), slopeOf01], [-1 / (r0 + r1), slopeOf12]);
  const ofHalf = curvature === "exact" ? 2 * step.ofCurvature : step.ofCurvaturePublished;
  return [
    [step.ofOutput, m0],
    [step.ofSlope, slope],
    [ofHalf, halfCurvature],
  ];
}

/** (a - b) / r. */
export const difference = (a: Quantity, b: Quantity, r: number): Sum => sum([1 / r, sum([1, a], [-1, b])]);
