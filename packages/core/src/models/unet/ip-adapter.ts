import * as tf from "@tensorflow/tfjs";
import { gelu } from "../../nn/activations.js";
import { attend } from "../../nn/attention.js";
import { normal } from "../../nn/initializers.js";
import { LayerNorm } from "../../nn/layer-norm.js";
import { Linear } from "../../nn/linear.js";
import { Parameter } from "../../nn/parameter.js";
import { requireTensor } from "../checks.js";
import { count, layers, oneOf, type SchemaOf } from "../../weights/config-schema.js";
import { resolveConfig } from "../config.js";
import type { ExampleNoise, ExamplePass } from "../example-pass.js";
import { Model } from "../model.js";

const NAME = "IPAdapter";

/** The sizes of an {@link IPAdapter}. Its files have no config: the shapes of their tensors give it. */
export interface IPAdapterConfig {
  _class_name: "IPAdapter";
  /**
   * How a picture becomes tokens: "linear", from its CLIP embedding; "resampler" (Plus) and "full", from the states of
   * CLIP's patches.
   */
  image_proj_type: "linear" | "resampler" | "full";
  /** Width of the embedding or the states. */
  image_embed_dim: number;
  /** Width of the tokens, that of the UNet's context. */
  cross_attention_dim: number;
  /** Tokens of a picture; "full" has one for each state. */
  num_image_text_embeds: number;
  /** Widths of the UNet's layers of attention to the context: the way down, the way up, the middle. */
  attention_widths: number[];
  /** Of the resampler: its width, number of layers, and heads of 64 numbers. */
  hidden_dim: number;
  num_layers: number;
  num_heads: number;
}

/** As many layers as any UNet of today has, several times. */
const MOST_LAYERS = 1000;
const isWidth = (width: unknown) => Number.isSafeInteger(width) && (width as number) > 0;

const SCHEMA: SchemaOf<IPAdapterConfig> = {
  _class_name: oneOf(NAME, [NAME]),
  image_proj_type: oneOf("linear", ["linear", "resampler", "full"]),
  image_embed_dim: count(1024),
  cross_attention_dim: count(768),
  num_image_text_embeds: count(4),
  attention_widths: {
    fallback: [320, 320, 640, 640, 1280, 1280, 1280, 1280, 1280, 640, 640, 640, 320, 320, 320, 1280],
    expected: `at most ${MOST_LAYERS} whole numbers above 0`,
    accepts: (value) => Array.isArray(value) && value.length <= MOST_LAYERS && value.every(isWidth),
    lists: "whole",
  },
  hidden_dim: count(768),
  num_layers: layers(4),
  num_heads: count(12),
};
const HEAD_WIDTH = 64;

/** [N, D] -> [N, T, C]. */
class LinearTokens {
  readonly proj: Linear;
  readonly norm: LayerNorm;
  readonly #tokens: number;

  constructor({ image_embed_dim, cross_attention_dim: width, num_image_text_embeds: tokens }: IPAdapterConfig) {
    this.proj = new Linear(image_embed_dim, tokens * width);
    this.norm = new LayerNorm(width);
    this.#tokens = tokens;
  }

  forward(embeds: tf.Tensor): tf.Tensor3D {
    const tokens = this.proj.forward(embeds);
    return this.norm.forward(tokens.reshape<tf.Tensor3D>([embeds.shape[0], this.#tokens, -1]));
  }
}

/** [N, L, D] -> [N, L, C]. */
class FullTokens {
  /** Position 1 is the checkpoint's GELU, which has no weights. */
  readonly proj: [Linear, null, Linear, LayerNorm];

  constructor({ image_embed_dim: inner, cross_attention_dim: width }: IPAdapterConfig) {
    this.proj = [new Linear(inner, inner), null, new Linear(inner, width), new LayerNorm(width)];
  }

  forward(states: tf.Tensor): tf.Tensor3D {
    const [first, , second, norm] = this.proj;
    return norm.forward(second.forward(gelu(first.forward(states)))) as tf.Tensor3D;
  }
}

/** Attention from learned queries to the states and to themselves. */
class PerceiverAttention {
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly to_q: Linear;
  readonly to_kv: Linear;
  readonly to_out: Linear;
  readonly #heads: number;

  constructor(width: number, heads: number) {
    const inner = heads * HEAD_WIDTH;
    this.norm1 = new LayerNorm(width);
    this.norm2 = new LayerNorm(width);
    this.to_q = new Linear(width, inner, { bias: false });
    this.to_kv = new Linear(width, 2 * inner, { bias: false });
    this.to_out = new Linear(inner, width, { bias: false });
    this.#heads = heads;
  }

  forward(states: tf.Tensor3D, latents: tf.Tensor3D): tf.Tensor3D {
    const queries = this.norm2.forward(latents);
    const read = this.to_kv.forward(tf.concat([this.norm1.forward(states), queries], 1));
    const [keys, values] = tf.split(read, 2, 2) as [tf.Tensor3D, tf.Tensor3D];
    return this.to_out.forward(attend(this.to_q.forward(queries), keys, values, this.#heads));
  }
}

/** The feed-forward layers of the resampler; position 2 is the checkpoint's GELU. */
type FeedForward = [LayerNorm, Linear, null, Linear];

/**
 * The resampler of Perceiver (Jaegle et al. 2021): a few learned queries read any number of states.
 *
 * forward: [N, L, D] -> [N, T, C].
 */
class ResampledTokens {
  /** [1, T, hidden_dim]. */
  readonly latents: Parameter;
  readonly proj_in: Linear;
  readonly proj_out: Linear;
  readonly norm_out: LayerNorm;
  readonly layers: [PerceiverAttention, FeedForward][];

  constructor(config: IPAdapterConfig) {
    const { image_embed_dim, cross_attention_dim, num_image_text_embeds, hidden_dim: width } = config;
    this.latents = new Parameter([1, num_image_text_embeds, width], normal(width ** -0.5));
    this.proj_in = new Linear(image_embed_dim, width);
    this.proj_out = new Linear(width, cross_attention_dim);
    this.norm_out = new LayerNorm(cross_attention_dim);
    const plain = { bias: false };
    this.layers = Array.from({ length: config.num_layers }, () => [
      new PerceiverAttention(width, config.num_heads),
      [new LayerNorm(width), new Linear(width, 4 * width, plain), null, new Linear(4 * width, width, plain)],
    ]);
  }

  forward(given: tf.Tensor): tf.Tensor3D {
    const states = this.proj_in.forward(given as tf.Tensor3D);
    let latents = this.latents.value.tile<tf.Tensor3D>([states.shape[0], 1, 1]);
    for (const [attention, [norm, wide, , narrow]] of this.layers) {
      latents = latents.add(attention.forward(states, latents));
      latents = latents.add(narrow.forward(gelu(wide.forward(norm.forward(latents)))));
    }
    return this.norm_out.forward(this.proj_out.forward(latents));
  }
}

/** The keys and values that a layer of the UNet reads of a picture's tokens. */
class ImageAttention {
  readonly to_k_ip: Linear;
  readonly to_v_ip: Linear;

  constructor(context: number, width: number) {
    this.to_k_ip = new Linear(context, width, { bias: false });
    this.to_v_ip = new Linear(context, width, { bias: false });
  }
}

/**
 * IP-Adapter (Ye et al. 2023): a picture as a prompt. The picture's CLIP embedding becomes a few tokens. Each layer of
 * the UNet that attends to the text attends to these tokens, too, with keys and values of the adapter, and adds both
 * results. The names are those of the files of h94/IP-Adapter.
 */
export class IPAdapter extends Model {
  readonly config: IPAdapterConfig;
  readonly image_proj: LinearTokens | ResampledTokens | FullTokens;
  /** At 1, 3, 5 …: the layers count self-attention, too, which has no weights here. */
  readonly ip_adapter: (ImageAttention | undefined)[];

  constructor(given: Partial<IPAdapterConfig> = {}) {
    super();
    this.config = resolveConfig(NAME, given, SCHEMA);
    const { image_proj_type: type, cross_attention_dim, attention_widths: widths } = this.config;
    const Tokens = { linear: LinearTokens, resampler: ResampledTokens, full: FullTokens }[type];
    this.image_proj = new Tokens(this.config);
    this.ip_adapter = widths.flatMap((width) => [undefined, new ImageAttention(cross_attention_dim, width)]);
  }

  /** Whether it reads the states of CLIP's patches, before the last layer, and not the picture's embedding. */
  get readsPatches(): boolean {
    return this.config.image_proj_type !== "linear";
  }

  /**
   * Embeddings [N, image_embed_dim], or states [N, L, image_embed_dim] if it {@link readsPatches} -> tokens [N, T,
   * cross_attention_dim]. Borrows its argument; the caller owns the result. Throws ModelInputError on other shapes.
   */
  forward(embeds: tf.Tensor): tf.Tensor3D {
    const { image_embed_dim: width } = this.config;
    requireTensor(NAME, "embeds", embeds, {
      shape: this.readsPatches ? [null, null, width] : [null, width],
      axes: this.readsPatches ? "[N, L, D]" : "[N, D]",
      hint: `It was trained with an image encoder whose ${this.readsPatches ? "hidden_size" : "projection_dim"} is ${width}.`,
    });
    return tf.tidy(() => this.image_proj.forward(embeds));
  }

  /** The keys and values of tokens [B, T, C], [B, T, width], for each layer; the caller owns them. */
  keysAndValues(tokens: tf.Tensor3D): { keys: tf.Tensor3D; values: tf.Tensor3D }[] {
    const layers = this.ip_adapter.filter((layer) => layer !== undefined);
    return tf.tidy(() =>
      layers.map(({ to_k_ip, to_v_ip }) => ({ keys: to_k_ip.forward(tokens), values: to_v_ip.forward(tokens) })),
    );
  }

  override examplePass(noise: ExampleNoise): ExamplePass {
    const { image_embed_dim: width } = this.config;
    const embeds = this.readsPatches ? noise.normal(noise.tokens, width) : noise.normal(width);
    return { forward: () => this.forward(embeds), inputs: { embeds } };
  }
}
