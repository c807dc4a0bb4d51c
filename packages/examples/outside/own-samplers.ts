import {
  BETA_KEYS,
  combine,
  type ConfigOf,
  type Plan,
  type PlanRequest,
  SigmaScheduler,
  SPACING_KEYS,
} from "@tfjs-diffusion/schedulers";

const KEYS = [...BETA_KEYS, ...SPACING_KEYS, "prediction_type"] as const;
const DEFAULTS = { timestep_spacing: "linspace", beta_start: 0.00085, beta_end: 0.012 } as const;
type Config = ConfigOf<(typeof KEYS)[number]>;

/** Heun's method (Karras et al. 2022, algorithm 1), written outside of the library. */
export class OwnHeun extends SigmaScheduler<Config> {
  constructor(config: Partial<Config> = {}) {
    super({ className: "OwnHeun", keys: KEYS, defaults: DEFAULTS }, config);
  }

  plan(request: PlanRequest): Plan {
    const { timesteps, sigmas } = this.levels(request);
    // Each step makes two calls, at its start and at its end; the last step makes one.
    const levelOfCall = timesteps.flatMap((_, k) => (k === 0 ? [0] : [k, k]));
    const callSigmas = levelOfCall.map((k) => sigmas[k]!);
    return this.sigmaPlan({
      timesteps: levelOfCall.map((k) => timesteps[k]!),
      stepStarts: timesteps.map((_, k) => 2 * k),
      sigmas,
      callSigmas,
      update: ({ x, output, i, history: [start, slopeAtStart] }) => {
        const k = Math.floor(i / 2);
        const h = sigmas[k + 1]! - sigmas[k]!;
        const d = this.slope(output, x, callSigmas[i]!);
        if (i % 2 === 0) return { x: combine([1, x], [h, d]), history: [x, combine([1, d])] };
        return { x: combine([1, start!], [h / 2, slopeAtStart!], [h / 2, d]) };
      },
    });
  }
}

/** Euler's method with longer steps, by a config key that no public scheduler has. */
export class LongEuler extends SigmaScheduler<Config & { step_scale: number }> {
  constructor(config: Partial<Config & { step_scale: number }> = {}) {
    const isPositive = (value: unknown) => typeof value === "number" && value > 0;
    const ownKeys = { step_scale: { fallback: 1, expected: "a number above 0", accepts: isPositive } };
    super({ className: "LongEuler", keys: KEYS, defaults: { timestep_spacing: "linspace" }, ownKeys }, config);
  }

  plan(request: PlanRequest): Plan {
    const { timesteps, sigmas } = this.levels(request);
    return this.sigmaPlan({
      timesteps,
      sigmas,
      update: ({ x, output, i }) => {
        const h = sigmas[i + 1]! - sigmas[i]!;
        const d = this.slope(output, x, sigmas[i]!);
        return { x: combine([1, x], [this.config.step_scale * h, d]) };
      },
    });
  }
}
