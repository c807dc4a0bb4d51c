import { type ConfigOf, SIGMA_SCHEDULE_KEYS, SPACING_KEYS } from "../config.js";
import { multistepPlan } from "./dpm-solver.js";
import { type Algorithm, ALGORITHMS } from "../numerics/exponential-integrator.js";
import type { Plan, PlanRequest } from "../scheduler.js";
import { requireRequest } from "../spacing.js";
import { SOLVER_KEYS, SolverScheduler } from "../solver-scheduler.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [
  ...SOLVER_KEYS,
  ...SPACING_KEYS,
  "solver_order",
  "algorithm_type",
  "solver_type",
  "euler_at_final",
  "lambda_min_clipped",
  "variance_type",
] as const;
const DEFAULTS = { timestep_spacing: "linspace", variance_type: null } as const;

/** Keys of DPMSolverMultistepInverseScheduler's config, all with defaults. */
export type DPMSolverMultistepInverseConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * DPM-Solver++ run backwards: from a picture to the noise that it would be drawn from (like DDIM inversion, Song et al.
 * 2021, section 4.3).
 */
export class DPMSolverMultistepInverseScheduler extends SolverScheduler<DPMSolverMultistepInverseConfig> {
  static override readonly traits: SchedulerTraits = {
    network: "timestep",
    stochastic: false,
    notFromNoise: "goes from pictures to noise",
    inverse: true,
  };
  constructor(config: Partial<DPMSolverMultistepInverseConfig> = {}) {
    super({ className: "DPMSolverMultistepInverseScheduler", keys: KEYS, defaults: DEFAULTS }, config);
  }

  /** The inversion begins at a noise level above 0, where the forward plan would end. */
  protected override get reachesZero(): boolean {
    return false;
  }

  plan(request: PlanRequest): Plan {
    requireRequest(request, "steps");
    const { timesteps, sigmas } = this.#ascending(request);
    // Inversion is deterministic: a stochastic algorithm is used in its deterministic form.
    const { predicts } =
      ALGORITHMS[this.settings.algorithm_type as keyof typeof ALGORITHMS] ?? ALGORITHMS["dpmsolver++"];
    const algorithm: Algorithm = { predicts, stochastic: false };
    return multistepPlan(
      { timesteps, sigmas },
      sigmas.map((sigma) => this.solverLevel(sigma)),
      {
        ...this.settings,
        algorithm,
        outputOf: (call, level) => (algorithm.predicts === "x0" ? this.x0(call, level) : this.epsilon(call, level)),
      },
      { learnedVariance: true },
    );
  }

  /** The levels of the forward plan from the cleanest, with the noisiest once more at the end. */
  #ascending(request: PlanRequest) {
    const down = this.levels(request);
    const computed = ([...SIGMA_SCHEDULE_KEYS, "use_flow_sigmas"] as const).some((key) => this.settings[key]);
    if (computed || this.settings.timestep_spacing === "trailing") {
      const up = down.sigmas.slice(0, -1).reverse();
      // As published, a timestep shared by several levels is visited once, and the plan ends that many levels earlier.
      return { timesteps: [...new Set([...down.timesteps].reverse())], sigmas: [...up, up.at(-1)!] };
    }
    // Without the noisiest entry, and with timestep 0: the timesteps at which steps start.
    const timesteps = [
      ...down.timesteps.slice(1),
      this.settings.timestep_spacing === "leading" ? this.settings.steps_offset : 0,
    ].reverse();
    const noisiest = Math.fround(this.trainedSigma(this.noisiestTimestep()));
    return { timesteps, sigmas: [...timesteps.map((t) => Math.fround(this.trainedSigma(t))), noisiest] };
  }
}
