import type * as tf from "@tensorflow/tfjs";
import {
  BETA_KEYS,
  combine,
  type ConfigOf,
  inputScaleOf,
  makePlan,
  type Plan,
  type PlanRequest,
  SigmaScheduler,
  SPACING_KEYS,
  sum,
  type Sum,
  x0Of,
} from "@tfjs-diffusion/schedulers";

const KEYS = [...BETA_KEYS, ...SPACING_KEYS, "prediction_type"] as const;
const DEFAULTS = { timestep_spacing: "linspace", beta_start: 0.00085, beta_end: 0.012 } as const;
type Config = ConfigOf<(typeof KEYS)[number]>;

/** Heun's method (Karras et al. 2022, algorithm 1), as somebody outside the library would add it. */
export class OwnHeun extends SigmaScheduler<Config> {
  constructor(config: Partial<Config> = {}) {
    super({ className: "OwnHeun", keys: KEYS, defaults: DEFAULTS }, config);
  }

  plan(request: PlanRequest): Plan {
    const { timesteps, sigmas } = this.levels(request);
    const calls = timesteps.flatMap((_, k) => (k === 0 ? [0] : [k, k])); // the level that call i is at
    const at = (i: number) => sigmas[calls[i]!]!;
    const slope = (x: tf.Tensor, output: tf.Tensor, sigma: number): Sum => {
      const x0 = x0Of(this.settings.prediction_type, output, x, { alpha: 1, sigma });
      return sum([1 / sigma, sum([1, x], [-1, x0])]);
    };
    return makePlan({
      timesteps: calls.map((k) => timesteps[k]!),
      stepStarts: timesteps.map((_, k) => 2 * k),
      sigmas,
      initNoiseSigma: this.initNoiseSigma(sigmas),
      level: (i) => ({ alpha: 1, sigma: at(i) }),
      inputScale: (i) => inputScaleOf(at(i)),
      update: ({ x, output, i, history: [start, firstSlope] }) => {
        const d = slope(x, output, at(i));
        const k = Math.floor(i / 2);
        const h = sigmas[k + 1]! - sigmas[k]!;
        if (i % 2 === 0) return { x: combine([1, x], [h, d]), history: [x, combine([1, d])] };
        return { x: combine([1, start!], [h / 2, firstSlope!], [h / 2, d]) };
      },
    });
  }
}

/** Euler's method with steps that may be made longer, by a config key that no public scheduler has. */
export class LongEuler extends SigmaScheduler<Config & { step_scale: number }> {
  constructor(config: Partial<Config & { step_scale: number }> = {}) {
    const step_scale = {
      fallback: 1,
      expected: "a number above 0",
      accepts: (value: unknown) => typeof value === "number" && value > 0,
    };
    super(
      { className: "LongEuler", keys: KEYS, defaults: { timestep_spacing: "linspace" }, ownKeys: { step_scale } },
      config,
    );
  }

  plan(request: PlanRequest): Plan {
    const { timesteps, sigmas } = this.levels(request);
    return makePlan({
      timesteps,
      sigmas,
      initNoiseSigma: this.initNoiseSigma(sigmas),
      level: (i) => ({ alpha: 1, sigma: sigmas[i]! }),
      inputScale: (i) => inputScaleOf(sigmas[i]!),
      update: ({ x, output, i }) => {
        const [sigma, next] = [sigmas[i]!, sigmas[i + 1]!];
        const x0 = x0Of(this.settings.prediction_type, output, x, { alpha: 1, sigma });
        const d = sum([1 / sigma, sum([1, x], [-1, x0])]);
        return { x: combine([1, x], [this.config.step_scale * (next - sigma), d]) };
      },
    });
  }
}
