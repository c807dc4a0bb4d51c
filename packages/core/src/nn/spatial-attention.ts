import * as tf from "@tensorflow/tfjs";
import { attend, requireHeads } from "./attention.js";
import { Conv2d } from "./conv2d.js";
import { GroupNorm } from "./group-norm.js";
import { Linear } from "./linear.js";
import { BasicTransformerBlock, type TransformerContext } from "./transformer-block.js";

/** An attention layer of a UNet: [B, H, W, C] -> the same shape, with the input added. */
export interface SpatialAttention {
  forward(x: tf.Tensor4D, conditioning: TransformerContext): tf.Tensor4D;
}

/** Pixels as tokens: [B, H, W, C] -> [B, H W, C]. */
function toTokens(x: tf.Tensor4D): tf.Tensor3D {
  return x.reshape([x.shape[0], x.shape[1] * x.shape[2], x.shape[3]]);
}

/** The size of a {@link Transformer2DModel}, and the contexts of its blocks. */
export interface Transformer2DOptions {
  heads: number;
  layers: number;
  groups: number;
  contextChannels: number | null;
  onlyCrossAttention?: boolean;
  /**
   * The projections in and out are linear layers (SD2, SDXL) and not 1x1 convolutions (SD1). The result is the same;
   * the shape on disk differs.
   */
  linearProjection?: boolean;
}

/** Transformer blocks over the pixels of a feature map, with text as context: Stable Diffusion's attention layer. */
export class Transformer2DModel implements SpatialAttention {
  readonly norm: GroupNorm;
  readonly proj_in: Linear | Conv2d;
  readonly transformer_blocks: BasicTransformerBlock[];
  readonly proj_out: Linear | Conv2d;

  constructor(
    channels: number,
    { heads, layers, groups, contextChannels, onlyCrossAttention, linearProjection = false }: Transformer2DOptions,
  ) {
    const project = () =>
      linearProjection ? new Linear(channels, channels) : new Conv2d(channels, channels, { kernel: 1 });
    this.norm = new GroupNorm(groups, channels, 1e-6);
    this.proj_in = project();
    this.transformer_blocks = Array.from(
      { length: layers },
      () => new BasicTransformerBlock(channels, heads, { contextChannels, onlyCrossAttention }),
    );
    this.proj_out = project();
  }

  /** Borrows its arguments; the caller owns the result. */
  forward(x: tf.Tensor4D, conditioning: TransformerContext): tf.Tensor4D {
    return tf.tidy(() => {
      let tokens = toTokens(this.proj_in.forward(this.norm.forward(x)));
      for (const block of this.transformer_blocks) tokens = block.forward(tokens, conditioning);
      return x.add(this.proj_out.forward(tokens.reshape(x.shape)));
    });
  }
}

/** The size of a {@link SelfAttention2D}, and its normalisation. */
export interface SelfAttention2DOptions {
  heads: number;
  /** null: no normalisation before the attention. */
  groups: number | null;
  eps: number;
  /** The result is divided by it. */
  outputScale?: number;
}

/** Plain self-attention over pixels, as in DDPM's UNet and in the autoencoder. */
export class SelfAttention2D implements SpatialAttention {
  readonly group_norm?: GroupNorm;
  readonly to_q: Linear;
  readonly to_k: Linear;
  readonly to_v: Linear;
  readonly to_out: [Linear];
  readonly #heads: number;
  readonly #outputScale: number;

  constructor(channels: number, { heads, groups, eps, outputScale = 1 }: SelfAttention2DOptions) {
    requireHeads(channels, heads);
    if (groups !== null) this.group_norm = new GroupNorm(groups, channels, eps);
    this.to_q = new Linear(channels, channels);
    this.to_k = new Linear(channels, channels);
    this.to_v = new Linear(channels, channels);
    this.to_out = [new Linear(channels, channels)];
    this.#heads = heads;
    this.#outputScale = outputScale;
  }

  /** Borrows its arguments; the caller owns the result. */
  forward(x: tf.Tensor4D, { perturbed }: TransformerContext = {}): tf.Tensor4D {
    return tf.tidy(() => {
      const tokens = toTokens(this.group_norm ? this.group_norm.forward(x) : x);
      const mixed = perturbed?.has(this) ? this.to_v.forward(tokens) : this.#mixed(tokens);
      const y = x.add<tf.Tensor4D>(this.to_out[0].forward(mixed).reshape(x.shape));
      return this.#outputScale === 1 ? y : y.mul(1 / this.#outputScale);
    });
  }

  #mixed(tokens: tf.Tensor3D): tf.Tensor3D {
    const [q, k, v] = [this.to_q.forward(tokens), this.to_k.forward(tokens), this.to_v.forward(tokens)];
    return attend(q, k, v, this.#heads);
  }
}

export interface AddedKeyValueOptions extends SelfAttention2DOptions {
  contextChannels: number;
  /** Pixels read the context only, not each other. */
  onlyCrossAttention?: boolean;
}

/**
 * Attention from pixels to the context and to each other at once: keys are [context, pixels]. unCLIP's decoder has it.
 */
export class AddedKeyValueAttention implements SpatialAttention {
  readonly group_norm: GroupNorm;
  readonly to_q: Linear;
  readonly to_k?: Linear;
  readonly to_v?: Linear;
  readonly add_k_proj: Linear;
  readonly add_v_proj: Linear;
  readonly to_out: [Linear];
  readonly #heads: number;

  constructor(channels: number, { heads, groups, eps, contextChannels, onlyCrossAttention }: AddedKeyValueOptions) {
    requireHeads(channels, heads);
    this.group_norm = new GroupNorm(groups ?? channels, channels, eps);
    this.to_q = new Linear(channels, channels);
    if (!onlyCrossAttention) {
      this.to_k = new Linear(channels, channels);
      this.to_v = new Linear(channels, channels);
    }
    this.add_k_proj = new Linear(contextChannels, channels);
    this.add_v_proj = new Linear(contextChannels, channels);
    this.to_out = [new Linear(channels, channels)];
    this.#heads = heads;
  }

  forward(x: tf.Tensor4D, { context, contextBias }: TransformerContext): tf.Tensor4D {
    return tf.tidy(() => {
      const tokens = toTokens(this.group_norm.forward(x));
      const join = (fromContext: Linear, fromTokens?: Linear) => {
        const added = fromContext.forward(context!);
        return fromTokens ? tf.concat([added, fromTokens.forward(tokens)], 1) : added;
      };
      const keys = join(this.add_k_proj, this.to_k);
      const values = join(this.add_v_proj, this.to_v);
      const unmasked: [number, number] = [0, keys.shape[1] - context!.shape[1]];
      const bias = contextBias && tf.pad(contextBias, [[0, 0], [0, 0], [0, 0], unmasked]);
      const mixed = attend(this.to_q.forward(tokens), keys, values, this.#heads, bias);
      return x.add(this.to_out[0].forward(mixed).reshape(x.shape));
    });
  }
}
