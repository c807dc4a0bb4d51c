import * as tf from "@tensorflow/tfjs";
import type { ForwardProcess } from "@tfjs-diffusion/core";
import type { KeyedNoise } from "@tfjs-diffusion/schedulers";
import { withoutGradient } from "./without-gradient.js";

/** What a network says at these timesteps, one a picture: the velocity v, [B, h, w, C]. */
export type Velocity = (x: tf.Tensor4D, timesteps: number[]) => tf.Tensor4D;

export interface ConsistencyOptions {
  scheduler: ForwardProcess;
  /** Learns to jump. */
  student: Velocity;
  /** Takes one step of DDIM; with the guidance that the student is to have without asking twice. */
  teacher: Velocity;
  /** Places from which the student learns to jump, evenly from noise to picture; `original_inference_steps` of LCMScheduler. */
  places: number;
  /** How many places further the teacher's step leads (Luo et al. 2023, section 4.3): with more, the end is learned sooner, and less exactly. */
  skip: number;
  /** Clean latents [B, h, w, C]. Borrowed. */
  x0: tf.Tensor4D;
  noise: KeyedNoise;
}

/** LCMScheduler's own: times a timestep before its distance to 0 is judged. */
const TIMESTEP_SCALING = 10;
const SIGMA_DATA = 0.5;
/** Below it the loss is of the second power of the error, above it of the first. */
const HUBER = 1e-3;

/**
 * Latent consistency distillation (Luo et al. 2023, eq. 12 to 14): wherever on a teacher's trajectory the student jumps off, it should land in
 * the same place. From x_t the teacher takes one step to x_s; the jump from t is pulled towards the one from s, which is held still. The
 * caller owns the result.
 */
export function consistencyLoss({
  scheduler,
  student,
  teacher,
  places,
  skip,
  x0,
  noise,
}: ConsistencyOptions): tf.Scalar {
  const stride = Math.floor(scheduler.alphaBar.length / places);
  const random = noise.at("timesteps").random();
  const from = Array.from({ length: x0.shape[0] }, () => (random.integer(places) + 1) * stride - 1);
  const to = from.map((t) => Math.max(t - skip * stride, -1));
  return tf.tidy(() => {
    const alphaBars = (timesteps: number[]) => timesteps.map((t) => (t < 0 ? 1 : scheduler.alphaBar[t]!));
    const here = levels(alphaBars(from));
    const there = levels(alphaBars(to));
    const x = scheduler.addNoise(x0, noise.at("epsilon").normal(x0.shape), from) as tf.Tensor4D;
    const target = withoutGradient(() => {
      const v = teacher(x, from);
      const x0 = here.alpha.mul(x).sub(here.sigma.mul(v));
      const epsilon = here.sigma.mul(x).add(here.alpha.mul(v));
      const next = there.alpha.mul(x0).add<tf.Tensor4D>(there.sigma.mul(epsilon));
      // A network is not asked at -1, where the picture is clean: the jump from there goes nowhere.
      const asked = to.map((t) => Math.max(t, 0));
      return jump(next, student(next, asked), there, to);
    });
    const error = jump(x, student(x, from), here, from).sub(target);
    return error
      .square()
      .add(HUBER ** 2)
      .sqrt()
      .sub(HUBER)
      .mean<tf.Scalar>();
  });
}

interface Levels {
  alpha: tf.Tensor4D;
  sigma: tf.Tensor4D;
}

function levels(alphaBars: number[]): Levels {
  const column = (values: number[]) => tf.tensor4d(values, [values.length, 1, 1, 1]);
  return { alpha: column(alphaBars.map(Math.sqrt)), sigma: column(alphaBars.map((a) => Math.sqrt(1 - a))) };
}

/** Where the network sees the trajectory end, weighted so that at t = 0 it is x itself (eq. 9 and appendix C), as LCMScheduler does. */
function jump(x: tf.Tensor4D, v: tf.Tensor4D, { alpha, sigma }: Levels, timesteps: number[]): tf.Tensor4D {
  const scaled = timesteps.map((t) => Math.max(t, 0) * TIMESTEP_SCALING);
  const column = (of: (t: number) => number) => tf.tensor4d(scaled.map(of), [scaled.length, 1, 1, 1]);
  const skip = column((t) => SIGMA_DATA ** 2 / (t ** 2 + SIGMA_DATA ** 2));
  const out = column((t) => t / Math.sqrt(t ** 2 + SIGMA_DATA ** 2));
  return skip.mul(x).add(out.mul(alpha.mul(x).sub(sigma.mul(v))));
}
