import * as tf from "@tensorflow/tfjs";
import { type Activation, silu } from "./activations.js";
import { Linear } from "./linear.js";
import { valuesAtHand } from "../platform/values-at-once.js";

/** The conventions in which published networks differ. */
export interface SinusoidOptions {
  /** true: [cos, sin], as in Stable Diffusion; false: [sin, cos], as in DDPM. */
  flipSinToCos?: boolean;
  /** Moves the lowest frequency: it is 10000^(-(half-1)/(half-shift)). */
  freqShift?: number;
}

const f32 = Math.fround;

/**
 * Sinusoidal position encoding of timesteps (Vaswani et al. 2017, section 3.5). It is computed in JavaScript
 * where the values can be read: WGSL promises sine and cosine to 5e-4 only, which changes a network's output.
 *
 * timesteps [B], any numeric dtype, may be fractional -> [B, features]; an odd `features` ends in a zero column.
 */
export function timestepSinusoid(
  timesteps: tf.Tensor1D,
  features: number,
  { flipSinToCos = true, freqShift = 0 }: SinusoidOptions = {},
): tf.Tensor2D {
  const half = Math.floor(features / 2);
  // Rounded after each operation, as PyTorch rounds: 157 of Stable Diffusion's 160 frequencies are then its own bit for
  // bit. The other three depend on the machine, as the last bit of PyTorch's vectorised exponential does: at a timestep
  // of 998, one of them makes a sine differ by 6e-5.
  const frequencies = Array.from({ length: half }, (_, k) =>
    f32(Math.exp(f32(f32(f32(-Math.log(10000)) * k) / (half - freqShift)))),
  );
  const waves = flipSinToCos ? (["cos", "sin"] as const) : (["sin", "cos"] as const);
  const known = valuesAtHand(timesteps);
  if (!known) {
    return tf.tidy(() => {
      const angles = timesteps
        .toFloat()
        .expandDims(1)
        .mul(tf.tensor2d(frequencies, [1, half]));
      return tf.concat([angles[waves[0]](), angles[waves[1]](), tf.zeros([timesteps.shape[0], features % 2])], 1);
    }) as tf.Tensor2D;
  }
  const values = new Float32Array(known.length * features);
  known.forEach((timestep, row) => {
    frequencies.forEach((frequency, k) => {
      // The angle is rounded to float32, as in PyTorch.
      const angle = f32(timestep * frequency);
      values[row * features + k] = Math[waves[0]](angle);
      values[row * features + half + k] = Math[waves[1]](angle);
    });
  });
  return tf.tensor2d(values, [known.length, features]);
}

/** Optional parts of a {@link TimestepEmbedding}. */
export interface TimestepEmbeddingOptions {
  act?: Activation;
  /** Width between the two layers; default `outFeatures`. */
  hiddenFeatures?: number | null;
  conditionFeatures?: number | null;
}

/**
 * Two linear layers that turn a sinusoid, a class vector or a pooled text vector into the embedding of residual blocks.
 *
 * forward: [B, inFeatures] -> [B, outFeatures]; `condition` [B, conditionFeatures] is projected and
 * added first (LCM's guidance scale).
 */
export class TimestepEmbedding {
  readonly linear_1: Linear;
  readonly linear_2: Linear;
  readonly cond_proj?: Linear;
  readonly #act: Activation;

  constructor(
    inFeatures: number,
    outFeatures: number,
    { act = silu, hiddenFeatures, conditionFeatures }: TimestepEmbeddingOptions = {},
  ) {
    this.linear_1 = new Linear(inFeatures, hiddenFeatures ?? outFeatures);
    this.linear_2 = new Linear(hiddenFeatures ?? outFeatures, outFeatures);
    if (conditionFeatures) this.cond_proj = new Linear(conditionFeatures, inFeatures, { bias: false });
    this.#act = act;
  }

  /** Borrows its arguments; the caller owns the result. */
  forward(x: tf.Tensor2D, condition?: tf.Tensor2D): tf.Tensor2D {
    const input = condition && this.cond_proj ? x.add<tf.Tensor2D>(this.cond_proj.forward(condition)) : x;
    return this.linear_2.forward(this.#act(this.linear_1.forward(input)));
  }
}
