import * as tf from "@tensorflow/tfjs";
import type { ForwardProcess } from "@tfjs-diffusion/core/training";
import type { Velocity } from "./consistency-loss.js";

/** A place on the way from noise to pictures. */
export interface Place {
  timestep: number;
  /** Latents of all pictures of the batch, one after the other. */
  x: Float32Array;
}

/** The way of a batch of latents, the noisiest place first, and where it ends. */
export interface Trajectory {
  places: Place[];
  end: Float32Array;
}

/**
 * Walks with DDIM (Song et al. 2021a, eq. 12, eta 0) from a noise level to the clean end, in strides of so many
 * timesteps. `x` is borrowed.
 *
 * @param x [B, h, w, C] at timestep `from`
 */
export function walk(
  { alphaBar }: ForwardProcess,
  teacher: Velocity,
  x: tf.Tensor4D,
  from: number,
  stride: number,
): Trajectory {
  const places: Place[] = [];
  let here = x.clone();
  for (let timestep = from; timestep >= 0; timestep -= stride) {
    places.push({ timestep, x: here.dataSync().slice() as Float32Array });
    const next = timestep - stride;
    const moved = tf.tidy(() => ddimStep(here, teacher, timestep, alphaBar[timestep]!, next < 0 ? 1 : alphaBar[next]!));
    here.dispose();
    here = moved;
  }
  const end = here.dataSync().slice() as Float32Array;
  here.dispose();
  return { places, end };
}

function ddimStep(x: tf.Tensor4D, teacher: Velocity, timestep: number, bar: number, nextBar: number): tf.Tensor4D {
  const v = teacher(x, Array<number>(x.shape[0]).fill(timestep));
  const [alpha, sigma] = [Math.sqrt(bar), Math.sqrt(1 - bar)];
  const x0 = x.mul(alpha).sub(v.mul(sigma));
  const epsilon = x.mul(sigma).add(v.mul(alpha));
  return x0.mul(Math.sqrt(nextBar)).add(epsilon.mul(Math.sqrt(1 - nextBar)));
}
