import type * as tf from "@tensorflow/tfjs";
import { combine, sum } from "../combine.js";
import { BETA_KEYS, type ConfigOf } from "../config.js";
import { posterior } from "../forward.js";
import { type Call, makePlan } from "../plan.js";
import { levelOf, x0Of } from "../prediction.js";
import { betas, sigmaOf } from "../schedule.js";
import type { Plan, PlanOptions, PlanRequest } from "../scheduler.js";
import { requireRequest, requireStepCount } from "../spacing.js";
import { limited } from "../numerics/thresholding.js";
import { TrainedScheduler } from "../trained.js";
import type { SchedulerTraits } from "../traits.js";

const KEYS = [...BETA_KEYS, "eta", "clip_sample"] as const;

/** Keys of RePaintScheduler's config, all with defaults. */
export type RePaintConfig = ConfigOf<(typeof KEYS)[number]>;

/**
 * RePaint (Lugmayr et al. 2022, algorithm 1): inpainting with a network that was not trained for it. Outside the hole,
 * x is the picture with noise. To make both regions consistent, the method repeatedly jumps back to higher noise levels
 * with fresh noise.
 *
 * A plan's timesteps rise where it jumps back. The network's output is not used there; any tensor of x's shape can be
 * given.
 */
export class RePaintScheduler extends TrainedScheduler<RePaintConfig> {
  static override readonly traits: SchedulerTraits = {
    network: "timestep",
    stochastic: true,
    notFromNoise: "needs a picture and a mask in every step",
  };
  readonly #betas: Float64Array;

  constructor(config: Partial<RePaintConfig> = {}) {
    super({ className: "RePaintScheduler", keys: KEYS, defaults: { clip_sample: true } }, config);
    this.#betas = betas(this.settings);
  }

  plan(request: PlanRequest, { jump_length = 10, jump_n_sample = 10 }: PlanOptions = {}): Plan {
    const { steps } = requireRequest(request, "steps");
    requireStepCount(steps, this.settings.num_train_timesteps);
    const stride = Math.floor(this.settings.num_train_timesteps / steps);
    const timesteps = walk(steps, jump_length, jump_n_sample).map((step) => step * stride);
    const barAt = (t: number) => this.alphaBar[t] ?? 1;
    return makePlan({
      timesteps,
      sigmas: [...timesteps.map((t) => sigmaOf(barAt(t))), 0],
      level: (i) => levelOf(barAt(timesteps[i]!)),
      update: (call) => {
        const [before, t] = [timesteps[call.i - 1] ?? Infinity, timesteps[call.i]!];
        return {
          x: t < before ? this.#paint(call, t, barAt(t), barAt(t - stride)) : this.#noiseAgain(call, before, stride),
        };
      },
    });
  }

  /**
   * A DDIM step in the hole, and the noisy picture outside it (eqs. 8). As published, one draw of noise is used for
   * both.
   */
  #paint({ x, output, fresh, options: { original_image, mask } }: Call, t: number, a: number, b: number): tf.Tensor {
    if (!original_image || !mask) {
      throw new RangeError(
        "RePaintScheduler: step needs { original_image, mask }; the mask is 1 where the picture is kept and 0 where it is repainted.",
      );
    }
    const z = fresh();
    const x0 = limited(x0Of("epsilon", output, x, levelOf(a)), this.settings);
    const deviation = this.settings.eta * Math.sqrt(a < b ? posterior(a, b).variance : 0);
    const painted = sum(
      [Math.sqrt(b), x0],
      [Math.sqrt(Math.max(0, 1 - b - deviation ** 2)), output],
      [t > 0 ? deviation : 0, z],
    );
    const kept = sum([Math.sqrt(b), original_image], [Math.sqrt(1 - b), z]);
    return combine([mask, kept], [mask.mul(-1).add(1), painted]);
  }

  /** Adds the noise of a stride, one trained timestep after the other (eq. 1). */
  #noiseAgain({ x, fresh }: Call, t: number, stride: number): tf.Tensor {
    return Array.from(this.#betas.subarray(t, t + stride)).reduce(
      (noised, beta) => combine([Math.sqrt(1 - beta), noised], [Math.sqrt(beta), fresh()]),
      x,
    );
  }
}

/**
 * The indices visited: down from n - 1 to 0. At every multiple of `jump` that leaves enough room at the noisy end, the
 * walk jumps back up by `jump`, so that each such section is walked `times` times.
 */
function walk(n: number, jump: number, times: number): number[] {
  for (const [name, value] of Object.entries({ jump_length: jump, jump_n_sample: times })) {
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`plan: ${name} is ${value}; give a whole number, 1 or more, such as 10.`);
  }
  const left = new Map<number, number>();
  for (let at = 0; at < n - jump; at += jump) left.set(at, times - 1);
  const visited: number[] = [];
  for (let t = n - 1; t >= 0; t--) {
    visited.push(t);
    const jumps = left.get(t) ?? 0;
    if (jumps === 0) continue;
    left.set(t, jumps - 1);
    for (let up = 0; up < jump; up++) visited.push(++t);
  }
  return visited;
}
