import { combine } from "../combine.js";
import { type ConfigOf, SPACING_KEYS } from "../config.js";
import { lastOutputs, multistepOrder } from "./dpm-solver.js";
import { exponentialMoments, lagrangeIntegrals } from "../numerics/lagrange.js";
import { makePlan } from "../plan.js";
import { epsilonBetween } from "../prediction.js";
import type { Plan, PlanOptions, PlanRequest } from "../scheduler.js";
import { DYNAMIC_SHIFT_KEYS, SOLVER_KEYS, SolverScheduler } from "../solver-scheduler.js";

const KEYS = [
  ...SOLVER_KEYS,
  ...SPACING_KEYS,
  ...DYNAMIC_SHIFT_KEYS,
  "solver_order",
  "algorithm_type",
  "solver_type",
] as const;
const DEFAULTS = { timestep_spacing: "linspace", algorithm_type: "deis", solver_type: "logrho" } as const;

/** Keys of DEISMultistepScheduler's config, all with defaults. */
export type DEISMultistepConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * Diffusion exponential integrator sampler (Zhang & Chen 2023, rho-AB): y = x / alpha moves by epsilon d rho, with rho
 * = sigma / alpha. Epsilon is approximated by the polynomial in log rho through the last outputs, which is integrated
 * exactly (their eq. 15, with log-rho nodes).
 */
export class DEISMultistepScheduler extends SolverScheduler<DEISMultistepConfig> {
  constructor(config: Partial<DEISMultistepConfig> = {}) {
    super({ className: "DEISMultistepScheduler", keys: KEYS, defaults: DEFAULTS }, config);
  }

  /** The integrals diverge at a noise level of 0. */
  protected override get reachesZero(): boolean {
    return false;
  }

  plan(request: PlanRequest, options?: PlanOptions): Plan {
    const { timesteps, sigmas } = this.levels(request, options);
    const levels = sigmas.map((sigma) => this.solverLevel(sigma));
    return makePlan({
      timesteps,
      sigmas,
      level: (i) => levels[i]!,
      learnedVariance: true,
      update: (call) => {
        const { x, history, i } = call;
        const [s, t] = [levels[i]!, levels[i + 1]!];
        // Via x0, which is what thresholding applies to.
        const epsilon = epsilonBetween(this.x0(call, s), x, s);
        const { outputs, remembered } = lastOutputs(this.settings.solver_order, epsilon, history);
        const order = Math.min(multistepOrder(this.settings, i, timesteps.length), outputs.length);
        const nodes = levels
          .slice(i + 1 - order, i + 1)
          .reverse()
          .map(({ lambda }) => s.lambda - lambda);
        const integrals = lagrangeIntegrals(nodes, exponentialMoments(order, s.lambda - t.lambda, 1));
        const rho = s.sigma / s.alpha;
        const terms = integrals.map((integral, k) => [t.alpha * rho * integral, outputs[k]!] as const);
        return { x: combine([t.alpha / s.alpha, x], ...terms), history: remembered };
      },
    });
  }
}
