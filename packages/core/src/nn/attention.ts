import * as tf from "@tensorflow/tfjs";
import { fusedOp } from "./fused-op.js";
import { Linear, type LinearOptions } from "./linear.js";

/**
 * Added to masked scores, so that their softmax is 0. It is not lower, so that float32 keeps the differences between
 * the scores of a row in which all are masked.
 */
export const MASKED = -1e4;

/**
 * The largest number of scores to compute at once; more are computed in slices. 64 MiB, half of WebGPU's default buffer
 * limit.
 */
const MAX_SCORES = 2 ** 24;

/**
 * Multi-head scaled dot-product attention (Vaswani et al. 2017, eq. 1): softmax(q k^T / sqrt(d) + bias) v for each
 * head.
 *
 * q [B, N, C]; k, v [B, L, C]; C = heads * d; bias broadcasts to [B, heads, N, L] -> [B, N, C].
 */
export function attend(
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  heads: number,
  bias?: tf.Tensor,
  maxScores = MAX_SCORES,
): tf.Tensor3D {
  const plain = () => plainAttend(q, k, v, heads, bias, maxScores);
  return bias ? plain() : (fusedOp("Attention", { q, k, v }, { heads }, plain, true) as tf.Tensor3D);
}

/** The reference of the fused kernel, which never holds all scores. */
function plainAttend(
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  heads: number,
  bias?: tf.Tensor,
  maxScores = MAX_SCORES,
): tf.Tensor3D {
  const [batch, length, channels] = q.shape;
  const split = (x: tf.Tensor3D) =>
    x.reshape([batch, x.shape[1], heads, channels / heads]).transpose<tf.Tensor4D>([0, 2, 1, 3]);
  const queries = split(q.mul(1 / Math.sqrt(channels / heads)));
  const keys = split(k);
  const values = split(v);
  const mix = (queries: tf.Tensor, bias?: tf.Tensor) => {
    const scores = tf.matMul(queries, keys, false, true);
    return tf.matMul(tf.softmax(bias ? scores.add(bias) : scores), values);
  };
  const slices = Math.ceil((batch * heads * length * k.shape[1]) / maxScores);
  const mixed = slices <= 1 ? mix(queries, bias) : inSlices(mix, slices, queries, bias);
  return mixed.transpose([0, 2, 1, 3]).reshape([batch, length, channels]);
}

/** Cuts the queries (and a bias that has a row for each query) along N, so that fewer scores exist at a time. */
function inSlices(
  mix: (queries: tf.Tensor, bias?: tf.Tensor) => tf.Tensor,
  slices: number,
  queries: tf.Tensor4D,
  bias?: tf.Tensor,
): tf.Tensor {
  const length = queries.shape[2];
  const step = Math.ceil(length / Math.min(slices, length));
  const sizes = Array.from({ length: Math.ceil(length / step) }, (_, i) => Math.min(step, length - i * step));
  const rows = bias && bias.shape[bias.rank - 2] === length ? tf.split(bias, sizes, bias.rank - 2) : undefined;
  const parts = tf.split(queries, sizes, 2).map((part, i) => tf.tidy(() => mix(part, rows ? rows[i] : bias)));
  return tf.concat(parts, 2);
}

/** Options of {@link Attention}. */
export interface AttentionOptions {
  /** Width of the context; default that of x. */
  contextChannels?: number | null;
  /** Bias on the query, key and value projections; the output always has one. */
  bias?: boolean;
}

/** Keys and values [B, T, channels] besides those of the context. */
export interface FurtherStates {
  keys: tf.Tensor3D;
  values: tf.Tensor3D;
  /** Multiplies what each token reads, [1 or B, N, 1]. */
  mask?: tf.Tensor3D | undefined;
}

/**
 * Attention from tokens to a context, or to themselves.
 *
 * forward: x [B, N, channels], context [B, L, contextChannels] (default x), bias added to the scores -> [B, N,
 * channels].
 */
export class Attention {
  readonly to_q: Linear;
  readonly to_k: Linear;
  readonly to_v: Linear;
  readonly to_out: [Linear];

  constructor(
    readonly channels: number,
    readonly heads: number,
    { contextChannels, bias = false }: AttentionOptions = {},
  ) {
    requireHeads(channels, heads);
    const options: LinearOptions = { bias };
    this.to_q = new Linear(channels, channels, options);
    this.to_k = new Linear(contextChannels ?? channels, channels, options);
    this.to_v = new Linear(contextChannels ?? channels, channels, options);
    this.to_out = [new Linear(channels, channels)];
  }

  /**
   * Borrows its arguments; the caller owns the result.
   *
   * @param further keys and values that the same queries read, each with a softmax of its own; the results are added
   */
  forward(
    x: tf.Tensor3D,
    context: tf.Tensor3D = x,
    bias?: tf.Tensor,
    further: readonly FurtherStates[] = [],
  ): tf.Tensor3D {
    return tf.tidy(() => {
      const [q, k, v] = [this.to_q.forward(x), this.to_k.forward(context), this.to_v.forward(context)];
      let mixed = attend(q, k, v, this.heads, bias);
      for (const { keys, values, mask } of further) {
        const read = attend(q, keys, values, this.heads);
        mixed = mixed.add(mask ? read.mul(mask) : read);
      }
      return this.to_out[0].forward(mixed);
    });
  }

  /** The same if each token attended to itself alone. Borrows x; the caller owns the result. */
  ofThemselves(x: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => this.to_out[0].forward(this.to_v.forward(x)));
  }
}

export function requireHeads(channels: number, heads: number): void {
  if (!Number.isInteger(heads) || heads < 1 || channels % heads !== 0) {
    throw new RangeError(
      `Attention: ${channels} channels cannot be divided into ${heads} heads; channels must be a multiple of heads.`,
    );
  }
}

/** Turns a mask [B, L], 1 = attend and 0 = ignore, into a bias on scores, [B, 1, 1, L]. */
export function maskToBias(mask: tf.Tensor2D): tf.Tensor4D {
  return tf.tidy(() => mask.toFloat().mul(-MASKED).add(MASKED).expandDims(1).expandDims<tf.Tensor4D>(1));
}

/** The bias [1, 1, length, length] that lets a token see itself and the tokens before it. */
export function causalBias(length: number): tf.Tensor4D {
  return tf.tidy(() => {
    const positions = tf.range(0, length);
    const ahead = positions.expandDims(1).less(positions.expandDims(0));
    return ahead.toFloat().mul(MASKED).expandDims(0).expandDims<tf.Tensor4D>(0);
  });
}
