import * as tf from "@tensorflow/tfjs";
import { activation, type ActivationName, activationNames } from "../../nn/activations.js";
import { causalBias, maskToBias } from "../../nn/attention.js";
import { zeros } from "../../nn/initializers.js";
import { LayerNorm } from "../../nn/layer-norm.js";
import { Linear } from "../../nn/linear.js";
import { Parameter } from "../../nn/parameter.js";
import { recorded } from "../../nn/recorded.js";
import { TimestepEmbedding, timestepSinusoid } from "../../nn/time-embedding.js";
import { BasicTransformerBlock } from "../../nn/transformer-block.js";
import { checkTimestep, requireTensor, timestepVector } from "../checks.js";
import { count, layers, number, oneOf, orNull, type SchemaOf } from "../../weights/config-schema.js";
import { resolveConfig } from "../config.js";
import { ModelConfigError } from "../errors.js";
import { EXAMPLE_TIME, type ExampleNoise, type ExamplePass } from "../example-pass.js";
import { Model } from "../model.js";

const NAME = "PriorTransformer";

/** `config.json` of a PriorTransformer, as diffusers writes it. */
export interface PriorTransformerConfig {
  _class_name: "PriorTransformer";
  num_attention_heads: number;
  attention_head_dim: number;
  num_layers: number;
  /** Width of CLIP's embeddings. */
  embedding_dim: number;
  /** Number of text tokens. */
  num_embeddings: number;
  /** Number of tokens after the text's: pooled text, time, noisy embedding, and the output token. */
  additional_embeddings: number;
  dropout: number;
  time_embed_act_fn: ActivationName;
  norm_in_type: "layer" | null;
  embedding_proj_norm_type: "layer" | null;
  encoder_hid_proj_type: "linear" | null;
  added_emb_type: "prd" | null;
  time_embed_dim: number | null;
  embedding_proj_dim: number | null;
  clip_embed_dim: number | null;
}

const SCHEMA: SchemaOf<PriorTransformerConfig> = {
  _class_name: oneOf(NAME, [NAME]),
  num_attention_heads: count(32),
  attention_head_dim: count(64),
  num_layers: layers(20),
  embedding_dim: count(768),
  num_embeddings: count(77),
  additional_embeddings: count(4),
  dropout: number(0),
  time_embed_act_fn: oneOf("silu", activationNames),
  norm_in_type: oneOf(null, ["layer", null]),
  embedding_proj_norm_type: oneOf(null, ["layer", null]),
  encoder_hid_proj_type: oneOf("linear", ["linear", null]),
  added_emb_type: oneOf("prd", ["prd", null]),
  time_embed_dim: orNull(count(null)),
  embedding_proj_dim: orNull(count(null)),
  clip_embed_dim: orNull(count(null)),
};

/** The encoding of the text for the prior. */
export interface PriorInputs {
  /** Pooled text, [B, embedding_proj_dim]. */
  projEmbedding: tf.Tensor2D;
  /** Text tokens, [B, num_embeddings, embedding_dim]; only with encoder_hid_proj_type "linear". */
  hiddenStates?: tf.Tensor3D;
  /** [B, num_embeddings], 1 = a token. Without it attention is not causal either, as in diffusers. */
  attentionMask?: tf.Tensor2D;
}

/**
 * unCLIP's prior (Ramesh et al. 2022, section 2.2): a transformer that denoises a CLIP image embedding, given the text.
 * Its tokens are [text…, pooled text, time, noisy embedding, a learned output token].
 *
 * forward: x [B, embedding_dim], t a number or [B] -> the predicted embedding [B, clip_embed_dim].
 */
export class PriorTransformer extends Model {
  readonly config: PriorTransformerConfig;
  readonly time_embedding: TimestepEmbedding;
  readonly proj_in: Linear;
  readonly embedding_proj_norm?: LayerNorm;
  readonly embedding_proj: Linear;
  readonly encoder_hidden_states_proj?: Linear;
  readonly positional_embedding: Parameter;
  readonly prd_embedding?: Parameter;
  readonly transformer_blocks: BasicTransformerBlock[];
  readonly norm_in?: LayerNorm;
  readonly norm_out: LayerNorm;
  readonly proj_to_clip_embeddings: Linear;
  readonly clip_mean: Parameter;
  readonly clip_std: Parameter;
  readonly #width: number;

  constructor(given: Partial<PriorTransformerConfig> = {}) {
    super();
    const config = resolveConfig(NAME, given, SCHEMA);
    this.config = config;
    checkLength(config);
    const { num_attention_heads: heads, embedding_dim } = config;
    const width = heads * config.attention_head_dim;
    const pooledWidth = config.embedding_proj_dim ?? embedding_dim;
    const outWidth = config.clip_embed_dim ?? embedding_dim;
    this.#width = width;
    this.time_embedding = new TimestepEmbedding(width, width, {
      act: activation(config.time_embed_act_fn),
      hiddenFeatures: config.time_embed_dim,
    });
    this.proj_in = new Linear(embedding_dim, width);
    if (config.embedding_proj_norm_type) this.embedding_proj_norm = new LayerNorm(pooledWidth);
    this.embedding_proj = new Linear(pooledWidth, width);
    if (config.encoder_hid_proj_type) this.encoder_hidden_states_proj = new Linear(embedding_dim, width);
    const length = config.num_embeddings + config.additional_embeddings;
    this.positional_embedding = new Parameter([1, length, width], zeros);
    if (config.added_emb_type) this.prd_embedding = new Parameter([1, 1, width], zeros);
    this.transformer_blocks = Array.from(
      { length: config.num_layers },
      () => new BasicTransformerBlock(width, heads, { attentionBias: true, activation: "gelu" }),
    );
    if (config.norm_in_type) this.norm_in = new LayerNorm(width);
    this.norm_out = new LayerNorm(width);
    this.proj_to_clip_embeddings = new Linear(width, outWidth);
    this.clip_mean = new Parameter([1, outWidth], zeros);
    this.clip_std = new Parameter([1, outWidth], zeros);
  }

  /** Borrows its arguments; the caller owns the result. Throws ModelInputError before any work. */
  forward(x: tf.Tensor2D, t: number | tf.Tensor1D, inputs: PriorInputs): tf.Tensor2D {
    this.#check(x, t, inputs);
    return tf.tidy(() => {
      const sinusoid = timestepSinusoid(timestepVector(t), this.#width);
      const { projEmbedding, hiddenStates, attentionMask } = inputs;
      return recorded(this, { x, sinusoid, projEmbedding, hiddenStates, attentionMask }, () =>
        this.#predict(x, sinusoid, inputs),
      );
    });
  }

  override examplePass(noise: ExampleNoise): ExamplePass {
    const { embedding_dim, embedding_proj_dim, num_embeddings, encoder_hid_proj_type } = this.config;
    const x = noise.normal<tf.Tensor2D>(embedding_dim);
    const read = {
      projEmbedding: noise.normal<tf.Tensor2D>(embedding_proj_dim ?? embedding_dim),
      ...(encoder_hid_proj_type && { hiddenStates: noise.normal<tf.Tensor3D>(num_embeddings, embedding_dim) }),
    };
    return { forward: () => this.forward(x, EXAMPLE_TIME, read), inputs: { x, ...read } };
  }

  #predict(x: tf.Tensor2D, sinusoid: tf.Tensor2D, inputs: PriorInputs): tf.Tensor2D {
    const { projEmbedding, attentionMask } = inputs;
    return tf.tidy(() => {
      let tokens = this.#tokens(x, sinusoid, inputs);
      const selfBias = attentionMask && this.#bias(attentionMask, tokens.shape[1]);
      if (this.norm_in) tokens = this.norm_in.forward(tokens);
      for (const block of this.transformer_blocks) tokens = block.forward(tokens, { selfBias });
      const [batch, length, width] = tokens.shape;
      const last = this.norm_out.forward(tokens).slice([0, length - 1, 0], [projEmbedding.shape[0], 1, width]);
      return this.proj_to_clip_embeddings.forward(last.reshape<tf.Tensor2D>([batch, width]));
    });
  }

  /** Maps a denoised embedding back to CLIP's scale: latents * clip_std + clip_mean. The caller owns the result. */
  postProcess(latents: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => latents.mul(this.clip_std.value).add(this.clip_mean.value));
  }

  #tokens(x: tf.Tensor2D, sinusoid: tf.Tensor2D, { projEmbedding, hiddenStates }: PriorInputs): tf.Tensor3D {
    const [batch] = x.shape;
    const toToken = (row: tf.Tensor2D) => row.expandDims<tf.Tensor3D>(1);
    const pooled = this.embedding_proj_norm ? this.embedding_proj_norm.forward(projEmbedding) : projEmbedding;
    const time = this.time_embedding.forward(sinusoid);
    const tokens = [
      toToken(this.embedding_proj.forward(pooled)),
      toToken(time.tile([batch / time.shape[0], 1])),
      toToken(this.proj_in.forward(x)),
    ];
    if (this.encoder_hidden_states_proj) tokens.unshift(this.encoder_hidden_states_proj.forward(hiddenStates!));
    if (this.prd_embedding) tokens.push(this.prd_embedding.value.tile([batch, 1, 1]));
    return tf.concat(tokens, 1).add(this.positional_embedding.value);
  }

  /** Masks padding and later tokens (causal); the tokens after the text's are never padding. */
  #bias(mask: tf.Tensor2D, length: number): tf.Tensor {
    const unmasked: [number, number] = [0, length - mask.shape[1]];
    const padding = tf.pad(maskToBias(mask), [[0, 0], [0, 0], [0, 0], unmasked]);
    return padding.add(causalBias(length));
  }

  #check(x: tf.Tensor2D, t: number | tf.Tensor1D, { projEmbedding, hiddenStates, attentionMask }: PriorInputs): void {
    const { embedding_dim: width, embedding_proj_dim, num_embeddings: length } = this.config;
    requireTensor(NAME, "x", x, { shape: [null, width], axes: "[B, C]" });
    const batch = x.shape[0];
    checkTimestep(NAME, t, batch);
    requireTensor(NAME, "projEmbedding", projEmbedding, {
      shape: [batch, embedding_proj_dim ?? width],
      axes: "[B, C]",
    });
    if (this.encoder_hidden_states_proj) {
      requireTensor(NAME, "hiddenStates", hiddenStates, { shape: [batch, length, width], axes: "[B, L, C]" });
    }
    if (attentionMask) {
      requireTensor(NAME, "attentionMask", attentionMask, { shape: [batch, length], axes: "[B, L]", dtype: "any" });
    }
  }
}

/** Checks that every token has a position: the text's, pooled text, time, noisy embedding, and the output token. */
function checkLength(config: PriorTransformerConfig): void {
  const { num_embeddings: text, additional_embeddings: more, encoder_hid_proj_type, added_emb_type } = config;
  const tokens = (encoder_hid_proj_type ? text : 0) + (added_emb_type ? 4 : 3);
  if (text + more === tokens) return;
  throw new ModelConfigError(
    `${NAME}: num_embeddings = ${text} and additional_embeddings = ${more} make ${text + more} positions for ${tokens} tokens.`,
  );
}
