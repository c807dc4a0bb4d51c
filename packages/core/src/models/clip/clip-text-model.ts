import * as tf from "@tensorflow/tfjs";
import { causalBias, maskToBias } from "../../nn/attention.js";
import { Embedding } from "../../nn/embedding.js";
import { normal } from "../../nn/initializers.js";
import { LayerNorm } from "../../nn/layer-norm.js";
import { Linear } from "../../nn/linear.js";
import { valuesAtHand } from "../../platform/values-at-once.js";
import { requireTensor } from "../checks.js";
import { type CLIPTextConfig, clipTextConfig } from "./clip-config.js";
import { CLIPEncoder } from "./clip-encoder.js";
import { ModelInputError } from "../errors.js";
import type { ExampleNoise, ExamplePass } from "../example-pass.js";
import { Model } from "../model.js";

/** Further inputs of a text tower. */
export interface CLIPTextOptions {
  /** [B, L], 1 = a token, 0 = padding, which is masked. Default: no mask, as in Stable Diffusion. */
  attentionMask?: tf.Tensor2D;
}

/** The output of a text tower for [B, L] ids; C is `hidden_size`. */
export interface CLIPTextOutput {
  /** [B, L, C], after the final layer norm. */
  lastHiddenState: tf.Tensor3D;
  /** [B, C], the last hidden state at the end-of-text token. */
  pooled: tf.Tensor2D;
  /** [B, L, C] each: the embeddings, then the state after each layer, without the final layer norm. */
  hiddenStates: tf.Tensor3D[];
}

class CLIPTextEmbeddings {
  readonly token_embedding: Embedding;
  readonly position_embedding: Embedding;

  constructor({ vocab_size, max_position_embeddings, hidden_size, initializer_factor }: CLIPTextConfig) {
    const init = normal(0.02 * initializer_factor);
    this.token_embedding = new Embedding(vocab_size, hidden_size, init);
    this.position_embedding = new Embedding(max_position_embeddings, hidden_size, init);
  }

  forward(ids: tf.Tensor2D): tf.Tensor3D {
    const positions = this.position_embedding.weight.value.slice(0, ids.shape[1]);
    return this.token_embedding.forward(ids).add(positions);
  }
}

/** The causal transformer over tokens that all of CLIP's text models share. */
export class CLIPTextTransformer {
  readonly embeddings: CLIPTextEmbeddings;
  readonly encoder: CLIPEncoder;
  readonly final_layer_norm: LayerNorm;
  readonly #config: CLIPTextConfig;
  readonly #className: string;

  constructor(className: string, config: CLIPTextConfig) {
    this.#className = className;
    this.#config = config;
    this.embeddings = new CLIPTextEmbeddings(config);
    this.encoder = new CLIPEncoder(config);
    this.final_layer_norm = new LayerNorm(config.hidden_size, config.layer_norm_eps);
  }

  /** Adds tokens to the end of the vocabulary, with these vectors [tokens, hidden_size]; borrows them. */
  addTokens(vectors: tf.Tensor2D): void {
    this.embeddings.token_embedding.append(vectors);
    this.#config.vocab_size += vectors.shape[0];
  }

  forward(ids: tf.Tensor2D, { attentionMask }: CLIPTextOptions = {}): CLIPTextOutput {
    const tokens = this.#checked(ids, attentionMask);
    const causal = causalBias(ids.shape[1]);
    const hiddenStates = this.encoder.forward(
      // A copy: data on a graphics card cannot be read at once, and the next tower checks the same ids.
      this.embeddings.forward(tokens ? tf.tensor2d(tokens, ids.shape, "int32") : ids),
      attentionMask ? causal.add(maskToBias(attentionMask)) : causal,
    );
    const lastHiddenState = this.final_layer_norm.forward(hiddenStates[hiddenStates.length - 1]!);
    return { lastHiddenState, pooled: this.#pool(lastHiddenState, ids, tokens), hiddenStates };
  }

  /**
   * The state at the end-of-text token, selected by a product with a one-hot mask (gather over two axes has no
   * gradient).
   */
  #pool(states: tf.Tensor3D, ids: tf.Tensor2D, tokens: readonly number[] | undefined): tf.Tensor2D {
    const [batch, length] = states.shape;
    const picked = tokens ? tf.tensor2d(this.#ends(tokens, ids.shape), [batch, length]) : this.#endsOnCard(ids);
    return tf.matMul(picked.expandDims<tf.Tensor3D>(1), states).squeeze([1]);
  }

  /**
   * 1 at the end of each text, 0 elsewhere: at its first end-of-text token or, if the config's value is 2, at its first
   * largest id. At position 0 if there is none.
   */
  #ends(tokens: readonly number[], [batch, length]: [number, number]): Float32Array {
    const { eos_token_id } = this.#config;
    const ends = new Float32Array(batch * length);
    for (let row = 0; row < batch; row++) {
      const text = tokens.slice(row * length, (row + 1) * length);
      const end = text.indexOf(eos_token_id === 2 ? Math.max(...text) : eos_token_id);
      ends[row * length + Math.max(0, end)] = 1;
    }
    return ends;
  }

  /** The same, for ids whose values are on a graphics card only. */
  #endsOnCard(ids: tf.Tensor2D): tf.Tensor2D {
    const { eos_token_id } = this.#config;
    const scores = eos_token_id === 2 ? ids.toFloat() : ids.equal(eos_token_id).toFloat();
    return tf.oneHot(scores.argMax<tf.Tensor1D>(1), ids.shape[1]).toFloat() as tf.Tensor2D;
  }

  /**
   * The values of the ids, after checking that all are in the vocabulary; undefined, and not checked, if they are on a
   * graphics card that cannot be read at once.
   */
  #checked(ids: tf.Tensor2D, attentionMask: tf.Tensor2D | undefined): number[] | undefined {
    const { max_position_embeddings: longest } = this.#config;
    requireTensor(this.#className, "ids", ids, { shape: [null, null], axes: "[batch, tokens]", dtype: "int32" });
    if (ids.shape[1] > longest) {
      throw new ModelInputError(
        `${this.#className}: texts of ${ids.shape[1]} tokens were given; this model reads at most ${longest}. ` +
          `Encode them with { maxLength: ${longest} }.`,
      );
    }
    const { vocab_size } = this.#config;
    const tokens = valuesAtHand(ids);
    const wrong = tokens?.find((id) => id < 0 || id >= vocab_size);
    if (wrong !== undefined) {
      throw new ModelInputError(
        `${this.#className}: ids hold ${wrong}; expected tokens from 0 to ${vocab_size - 1}. Encode texts with the model's own tokenizer.`,
      );
    }
    if (attentionMask) {
      requireTensor(this.#className, "attentionMask", attentionMask, {
        shape: ids.shape,
        axes: "[batch, tokens]",
        dtype: "any",
      });
    }
    return tokens && [...tokens];
  }
}

/**
 * CLIP's text tower (Radford et al. 2021), which encodes the prompts of Stable Diffusion.
 *
 * forward: int32 ids [B, L] -> {@link CLIPTextOutput}; the caller owns all of it. Throws ModelInputError for other
 * shapes.
 */
export class CLIPTextModel extends Model {
  readonly config: CLIPTextConfig;
  readonly text_model: CLIPTextTransformer;

  constructor(config: Partial<CLIPTextConfig> = {}) {
    super();
    this.config = {
      ...clipTextConfig("CLIPTextModel", config),
      architectures: ["CLIPTextModel"],
      model_type: "clip_text_model",
    };
    this.text_model = new CLIPTextTransformer("CLIPTextModel", this.config);
  }

  /**
   * Reads int32 ids [B, L], L up to `max_position_embeddings`, each from 0 to `vocab_size` - 1; the caller owns the
   * result.
   *
   * @throws ModelInputError for other shapes, texts that are too long and ids outside the vocabulary
   */
  forward(ids: tf.Tensor2D, options?: CLIPTextOptions): CLIPTextOutput {
    return tf.tidy(() => this.text_model.forward(ids, options) as CLIPTextOutput & tf.TensorContainerObject);
  }

  override examplePass(noise: ExampleNoise): ExamplePass {
    return textPass(this, noise);
  }
}

/** The text tower with the projection into the space shared with pictures. */
export class CLIPTextModelWithProjection extends Model {
  readonly config: CLIPTextConfig;
  readonly text_model: CLIPTextTransformer;
  readonly text_projection: Linear;

  constructor(config: Partial<CLIPTextConfig> = {}) {
    super();
    this.config = {
      ...clipTextConfig("CLIPTextModelWithProjection", config),
      architectures: ["CLIPTextModelWithProjection"],
      model_type: "clip_text_model",
    };
    this.text_model = new CLIPTextTransformer("CLIPTextModelWithProjection", this.config);
    this.text_projection = projection(this.config, this.config.projection_dim);
  }

  /** Like CLIPTextModel, with `textEmbeds` [B, projection_dim], not normalised. */
  forward(ids: tf.Tensor2D, options?: CLIPTextOptions): CLIPTextOutput & { textEmbeds: tf.Tensor2D } {
    return tf.tidy(() => {
      const output = this.text_model.forward(ids, options);
      return { ...output, textEmbeds: this.text_projection.forward(output.pooled) };
    });
  }

  override examplePass(noise: ExampleNoise): ExamplePass {
    return textPass(this, noise);
  }
}

/** A pass of a text tower over texts of the greatest length. */
function textPass(tower: CLIPTextModel | CLIPTextModelWithProjection, { batch }: ExampleNoise): ExamplePass {
  const ids = tf.zeros<tf.Rank.R2>([batch, tower.config.max_position_embeddings], "int32");
  return { forward: () => tower.forward(ids).lastHiddenState, inputs: { ids } };
}

/** The linear map, without bias, from a tower's width into the shared space. */
export function projection(
  { hidden_size, initializer_factor }: { hidden_size: number; initializer_factor: number },
  width: number,
): Linear {
  return new Linear(hidden_size, width, {
    bias: false,
    weightInit: normal(initializer_factor / Math.sqrt(hidden_size)),
  });
}
