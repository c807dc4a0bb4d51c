import * as tf from "@tensorflow/tfjs";
import { Attention, type FurtherStates } from "./attention.js";
import { FeedForward, type FeedForwardActivation } from "./feed-forward.js";
import { LayerNorm } from "./layer-norm.js";

/** The size of a {@link BasicTransformerBlock}, and which attention layers it has. */
export interface TransformerBlockOptions {
  /** Width of the context of the second attention; null for a block without one. */
  contextChannels?: number | null;
  /** The first attention also reads the context, instead of the tokens. */
  onlyCrossAttention?: boolean;
  attentionBias?: boolean;
  activation?: FeedForwardActivation;
}

/** The further inputs of a transformer block. */
export interface TransformerContext {
  /** [B, L, contextChannels]. */
  context?: tf.Tensor3D;
  /** Added to the scores of attention to the context, [B, 1, 1, L]. */
  contextBias?: tf.Tensor;
  /** Added to the scores of self-attention, broadcast to [B, heads, N, N]. */
  selfBias?: tf.Tensor;
  /** Self-attention layers in which each token reads only itself. */
  perturbed?: ReadonlySet<object>;
  /** Layers of attention to the context that read pictures, too. */
  pictures?: ReadonlyMap<object, readonly FurtherStates[]>;
}

/**
 * Self-attention, attention to the context, feed-forward; each on normalised tokens and added back (pre-norm).
 *
 * forward: [B, N, channels] -> the same shape.
 */
export class BasicTransformerBlock {
  readonly norm1: LayerNorm;
  readonly attn1: Attention;
  readonly norm2?: LayerNorm;
  readonly attn2?: Attention;
  readonly norm3: LayerNorm;
  readonly ff: FeedForward;

  constructor(
    channels: number,
    heads: number,
    { contextChannels = null, onlyCrossAttention = false, attentionBias, activation }: TransformerBlockOptions = {},
  ) {
    const firstContext = onlyCrossAttention ? contextChannels : null;
    this.norm1 = new LayerNorm(channels);
    this.attn1 = new Attention(channels, heads, { contextChannels: firstContext, bias: attentionBias });
    if (contextChannels !== null) {
      this.norm2 = new LayerNorm(channels);
      this.attn2 = new Attention(channels, heads, { contextChannels, bias: attentionBias });
    }
    this.norm3 = new LayerNorm(channels);
    this.ff = new FeedForward(channels, activation);
    this.onlyCrossAttention = onlyCrossAttention;
  }

  /** Whether the first attention reads the context, too. */
  readonly onlyCrossAttention: boolean;

  /** Borrows its arguments; the caller owns the result. */
  forward(
    x: tf.Tensor3D,
    { context, contextBias, selfBias, perturbed, pictures }: TransformerContext = {},
  ): tf.Tensor3D {
    return tf.tidy(() => {
      const first = this.norm1.forward(x);
      const isPerturbed = perturbed?.has(this.attn1) ?? false;
      let y: tf.Tensor3D = this.onlyCrossAttention
        ? x.add(this.attn1.forward(first, context, contextBias))
        : x.add(isPerturbed ? this.attn1.ofThemselves(first) : this.attn1.forward(first, first, selfBias));
      if (this.norm2 && this.attn2) {
        y = y.add(this.attn2.forward(this.norm2.forward(y), context, contextBias, pictures?.get(this.attn2)));
      }
      return y.add(this.ff.forward(this.norm3.forward(y)));
    });
  }
}
