import type * as tf from "@tensorflow/tfjs";
import { combine, computed, type Term } from "../combine.js";
import { type ConfigOf, SPACING_KEYS } from "../config.js";
import { difference } from "./dpm-solver.js";
import { ALGORITHMS, exponentialStep } from "../numerics/exponential-integrator.js";
import { SchedulerConfigError } from "../errors.js";
import { solveLinear } from "../numerics/linear-system.js";
import { makePlan } from "../plan.js";
import type { Plan, PlanOptions, PlanRequest } from "../scheduler.js";
import { DYNAMIC_SHIFT_KEYS, SOLVER_KEYS, type SolverLevel, SolverScheduler } from "../solver-scheduler.js";

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
 * UniPC (Zhao et al. 2023, algorithms 1 and 2): a multi-step predictor, whose result the next output, which is needed
 * anyway, corrects by one order for free.
 */
export class UniPCMultistepScheduler extends SolverScheduler<UniPCMultistepConfig> {
  constructor(config: Partial<UniPCMultistepConfig> = {}) {
    super({ className: "UniPCMultistepScheduler", keys: KEYS, defaults: DEFAULTS }, config, {
      thresholdsX0Only: true,
      flowStart: "near 1",
    });
  }

  plan(request: PlanRequest, options?: PlanOptions): Plan {
    const { solver_order, lower_order_final, disable_corrector, predict_x0 } = this.settings;
    const { timesteps, sigmas } = this.levels(request, options);
    const levels = sigmas.map((sigma) => this.solverLevel(sigma));
    if (!predict_x0 && sigmas.at(-1) === 0) {
      throw new SchedulerConfigError(
        "UniPCMultistepScheduler: with predict_x0 false it cannot step to a noise level of 0, where epsilon means nothing. " +
          "Set final_sigmas_type to sigma_min, or predict_x0 to true.",
      );
    }
    const orderAt = (i: number, known: number) =>
      // Into a noise level of 0 lambda is infinite, and into the same level it stays: no slope over it can be had.
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
        const correct = start && !disable_corrector.includes(i - 1);
        const x = correct
          ? this.#move(start, [output, ...outputs], levels, i - 1, orderAt(i - 1, outputs.length), "correct")
          : call.x;
        const known = [output, ...outputs].slice(0, solver_order);
        const next = this.#move(x, known, levels, i, orderAt(i, known.length), "predict");
        return { x: next, history: [x, ...known] };
      },
    });
  }

  /**
   * From level i to i + 1, with outputs newest first: at i, i - 1, ... to predict; and also at i + 1, before these, to
   * correct. The weights of the differences to the output at i solve a Vandermonde system (their eq. 5).
   */
  #move(
    x: tf.Tensor,
    outputs: readonly tf.Tensor[],
    levels: readonly SolverLevel[],
    i: number,
    order: number,
    mode: "predict" | "correct",
  ) {
    const { predict_x0, solver_type } = this.settings;
    const [s, t] = [levels[i]!, levels[i + 1]!];
    const step = exponentialStep(ALGORITHMS[predict_x0 ? "dpmsolver++" : "dpmsolver"], s, t);
    const older = outputs.slice(mode === "correct" ? 1 : 0);
    const ratios = Array.from({ length: order - 1 }, (_, k) => (levels[i - k - 1]!.lambda - s.lambda) / step.h);
    const differences = ratios.map((r, k) => difference(older[k + 1]!, older[0]!, r));
    if (mode === "correct") {
      ratios.push(1);
      differences.push(difference(outputs[0]!, older[0]!, 1));
    }
    const z = predict_x0 ? -step.h : step.h;
    const b = solver_type === "bh1" ? z : Math.expm1(z);
    const weights = unifiedWeights(ratios, z, b);
    const scale = -(predict_x0 ? t.alpha : t.sigma) * b;
    const terms = differences.map((d, k): Term => [scale * weights[k]!, d]);
    return combine([step.ofX, x], [step.ofOutput, older[0]!], ...terms);
  }
}

/**
 * Weights a of the differences with sum over k of a_k r_k^(n - 1) = n! phi_(n+1)(z) / B(z), n = 1 to the number of
 * ratios.
 */
function unifiedWeights(ratios: readonly number[], z: number, b: number): number[] {
  // With one ratio, the paper's published code takes 1/2, its limit for small steps.
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
