import * as tf from "@tensorflow/tfjs";
import { zeros } from "../../nn/initializers.js";
import { LayerNorm } from "../../nn/layer-norm.js";
import { Linear } from "../../nn/linear.js";
import { Parameter } from "../../nn/parameter.js";
import { requireTensor } from "../checks.js";
import { count, oneOf, type SchemaOf } from "../../weights/config-schema.js";
import { resolveConfig } from "../config.js";
import { Model } from "../model.js";

const NAME = "UnCLIPTextProjModel";

/** `config.json` of an UnCLIPTextProjModel, as diffusers writes it. */
export interface UnCLIPTextProjConfig {
  _class_name: "UnCLIPTextProjModel";
  /** Number of context tokens made from the image embedding. */
  clip_extra_context_tokens: number;
  clip_embeddings_dim: number;
  /** Width of the UNet's time embedding. */
  time_embed_dim: number;
  cross_attention_dim: number;
}

const SCHEMA: SchemaOf<UnCLIPTextProjConfig> = {
  _class_name: oneOf(NAME, [NAME]),
  clip_extra_context_tokens: count(4),
  clip_embeddings_dim: count(768),
  time_embed_dim: count(1536),
  cross_attention_dim: count(1536),
};

/** The embeddings that unCLIP's decoder is conditioned on; borrowed. */
export interface UnCLIPTextProjInputs {
  /** CLIP image embeddings, [B, clip_embeddings_dim]. */
  imageEmbeddings: tf.Tensor2D;
  /** Pooled text; with guidance, the unconditional half first, [2 B, clip_embeddings_dim]. */
  promptEmbeds: tf.Tensor2D;
  /** Text tokens, [B or 2 B, L, clip_embeddings_dim]. */
  textEncoderHiddenStates: tf.Tensor3D;
  /** Puts the learned "no image" embedding before the images', for classifier-free guidance. */
  doClassifierFreeGuidance: boolean;
}

/**
 * The inputs of unCLIP's decoder: `context` [B, tokens + L, cross_attention_dim], `classLabels` [B, time_embed_dim].
 */
export interface UnCLIPTextProjOutput {
  context: tf.Tensor3D;
  classLabels: tf.Tensor2D;
}

/** Turns CLIP embeddings into the conditioning of unCLIP's decoder (Ramesh et al. 2022, section 2.1). */
export class UnCLIPTextProjModel extends Model {
  readonly config: UnCLIPTextProjConfig;
  readonly learned_classifier_free_guidance_embeddings: Parameter;
  readonly embedding_proj: Linear;
  readonly clip_image_embeddings_project_to_time_embeddings: Linear;
  readonly clip_extra_context_tokens_proj: Linear;
  readonly encoder_hidden_states_proj: Linear;
  readonly text_encoder_hidden_states_norm: LayerNorm;

  constructor(given: Partial<UnCLIPTextProjConfig> = {}) {
    super();
    this.config = resolveConfig(NAME, given, SCHEMA);
    const {
      clip_extra_context_tokens: tokens,
      clip_embeddings_dim: clip,
      time_embed_dim,
      cross_attention_dim,
    } = this.config;
    this.learned_classifier_free_guidance_embeddings = new Parameter([clip], zeros);
    this.embedding_proj = new Linear(clip, time_embed_dim);
    this.clip_image_embeddings_project_to_time_embeddings = new Linear(clip, time_embed_dim);
    this.clip_extra_context_tokens_proj = new Linear(clip, tokens * cross_attention_dim);
    this.encoder_hidden_states_proj = new Linear(clip, cross_attention_dim);
    this.text_encoder_hidden_states_norm = new LayerNorm(cross_attention_dim);
  }

  /** Borrows its arguments; the caller owns the result. Throws ModelInputError before any work. */
  forward(inputs: UnCLIPTextProjInputs): UnCLIPTextProjOutput {
    const { imageEmbeddings, promptEmbeds, textEncoderHiddenStates, doClassifierFreeGuidance } = inputs;
    const { clip_extra_context_tokens: count, clip_embeddings_dim: clip, cross_attention_dim } = this.config;
    requireTensor(NAME, "imageEmbeddings", imageEmbeddings, { shape: [null, clip], axes: "[B, C]" });
    const batch = imageEmbeddings.shape[0] * (doClassifierFreeGuidance ? 2 : 1);
    requireTensor(NAME, "promptEmbeds", promptEmbeds, { shape: [batch, clip], axes: "[B, C]" });
    requireTensor(NAME, "textEncoderHiddenStates", textEncoderHiddenStates, {
      shape: [batch, null, clip],
      axes: "[B, L, C]",
    });
    return tf.tidy(() => {
      const images = doClassifierFreeGuidance ? this.#withNone(imageEmbeddings) : imageEmbeddings;
      const prompt = this.embedding_proj.forward(promptEmbeds);
      const classLabels = this.clip_image_embeddings_project_to_time_embeddings
        .forward(images)
        .add<tf.Tensor2D>(prompt);
      // In the checkpoint the features are the outer axis and the tokens the inner one.
      const extra = this.clip_extra_context_tokens_proj
        .forward(images)
        .reshape<tf.Tensor3D>([batch, cross_attention_dim, count])
        .transpose<tf.Tensor3D>([0, 2, 1]);
      const text = this.encoder_hidden_states_proj.forward(textEncoderHiddenStates);
      return { context: tf.concat([extra, this.text_encoder_hidden_states_norm.forward(text)], 1), classLabels };
    });
  }

  /** The learned "no image" embedding once for each picture, then the pictures' embeddings. */
  #withNone(imageEmbeddings: tf.Tensor2D): tf.Tensor2D {
    const none = this.learned_classifier_free_guidance_embeddings.value.expandDims<tf.Tensor2D>(0);
    return tf.concat([none.tile<tf.Tensor2D>([imageEmbeddings.shape[0], 1]), imageEmbeddings]);
  }
}
