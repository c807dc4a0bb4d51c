import * as tf from "@tensorflow/tfjs";
import { Conv2d } from "../../nn/conv2d.js";
import { Embedding } from "../../nn/embedding.js";
import { normal } from "../../nn/initializers.js";
import { LayerNorm } from "../../nn/layer-norm.js";
import type { Linear } from "../../nn/linear.js";
import { Parameter } from "../../nn/parameter.js";
import { requireTensor } from "../checks.js";
import { type CLIPVisionConfig, clipVisionConfig } from "./clip-config.js";
import { CLIPEncoder } from "./clip-encoder.js";
import { projection } from "./clip-text-model.js";
import { ModelConfigError } from "../errors.js";
import type { ExampleNoise, ExamplePass } from "../example-pass.js";
import { Model } from "../model.js";

/** The output of a vision tower; C is `hidden_size`. */
export interface CLIPVisionOutput {
  /** [B, 1 + patches, C], after the last layer, without a layer norm. */
  lastHiddenState: tf.Tensor3D;
  /** [B, C], the class token after the last layer norm. */
  pooled: tf.Tensor2D;
  /** The embeddings, then the state after each layer. */
  hiddenStates: tf.Tensor3D[];
}

class CLIPVisionEmbeddings {
  readonly class_embedding: Parameter;
  readonly patch_embedding: Conv2d;
  readonly position_embedding: Embedding;

  constructor({
    image_size,
    patch_size,
    num_channels,
    hidden_size: width,
    initializer_range,
    initializer_factor,
  }: CLIPVisionConfig) {
    const small = normal(initializer_range * initializer_factor);
    this.class_embedding = new Parameter([width], normal(initializer_factor / Math.sqrt(width)));
    this.patch_embedding = new Conv2d(num_channels, width, {
      kernel: patch_size,
      stride: patch_size,
      padding: 0,
      bias: false,
      weightInit: small,
    });
    this.position_embedding = new Embedding((image_size / patch_size) ** 2 + 1, width, small);
  }

  forward(pixels: tf.Tensor4D): tf.Tensor3D {
    const [batch] = pixels.shape;
    const width = this.class_embedding.shape[0]!;
    const patches = this.patch_embedding.forward(pixels).reshape([batch, -1, width]);
    const first = this.class_embedding.value.reshape([1, 1, width]).tile([batch, 1, 1]);
    return tf.concat([first, patches], 1).add(this.position_embedding.weight.value);
  }
}

/** The transformer over the patches of a picture that all of CLIP's vision models share. */
export class CLIPVisionTransformer {
  readonly embeddings: CLIPVisionEmbeddings;
  /** Spelled as in the checkpoints. */
  readonly pre_layrnorm: LayerNorm;
  readonly encoder: CLIPEncoder;
  readonly post_layernorm: LayerNorm;
  readonly #config: CLIPVisionConfig;
  readonly #className: string;

  constructor(className: string, config: CLIPVisionConfig) {
    const { image_size, patch_size, hidden_size, layer_norm_eps } = config;
    if (image_size % patch_size !== 0) {
      throw new ModelConfigError(
        `${className}: image_size ${image_size} is not a multiple of patch_size ${patch_size}.`,
      );
    }
    this.#className = className;
    this.#config = config;
    this.embeddings = new CLIPVisionEmbeddings(config);
    this.pre_layrnorm = new LayerNorm(hidden_size, layer_norm_eps);
    this.encoder = new CLIPEncoder(config);
    this.post_layernorm = new LayerNorm(hidden_size, layer_norm_eps);
  }

  forward(pixels: tf.Tensor4D): CLIPVisionOutput {
    const { image_size: size, num_channels } = this.#config;
    requireTensor(this.#className, "pixels", pixels, {
      shape: [null, size, size, num_channels],
      axes: "[batch, height, width, channels]",
      hint: "Resize the pictures first.",
    });
    const hiddenStates = this.encoder.forward(this.pre_layrnorm.forward(this.embeddings.forward(pixels)));
    const lastHiddenState = hiddenStates[hiddenStates.length - 1]!;
    const [batch, , width] = lastHiddenState.shape;
    const first = lastHiddenState.slice([0, 0, 0], [batch, 1, width]).reshape<tf.Tensor2D>([batch, width]);
    return { lastHiddenState, pooled: this.post_layernorm.forward(first), hiddenStates };
  }
}

/**
 * CLIP's vision tower (Dosovitskiy et al. 2021; Radford et al. 2021).
 *
 * forward: pixels [B, image_size, image_size, num_channels], normalised as in training -> {@link CLIPVisionOutput}; the
 * caller owns all of it. Throws ModelInputError on other shapes.
 */
export class CLIPVisionModel extends Model {
  readonly config: CLIPVisionConfig;
  readonly vision_model: CLIPVisionTransformer;

  constructor(config: Partial<CLIPVisionConfig> = {}) {
    super();
    this.config = {
      ...clipVisionConfig("CLIPVisionModel", config),
      architectures: ["CLIPVisionModel"],
      model_type: "clip_vision_model",
    };
    this.vision_model = new CLIPVisionTransformer("CLIPVisionModel", this.config);
  }

  /**
   * Reads pixels [B, image_size, image_size, num_channels]; the caller owns the result. Throws ModelInputError on other
   * shapes.
   */
  forward(pixels: tf.Tensor4D): CLIPVisionOutput {
    return tf.tidy(() => ({ ...this.vision_model.forward(pixels) }));
  }

  override examplePass(noise: ExampleNoise): ExamplePass {
    return visionPass(this, noise);
  }
}

/**
 * CLIP's vision tower with the projection into the shared space.
 *
 * forward: pixels [B, image_size, image_size, num_channels], normalised as in training -> {@link CLIPVisionOutput} and
 * `imageEmbeds` [B, projection_dim], not normalised; the caller owns all of it.
 */
export class CLIPVisionModelWithProjection extends Model {
  readonly config: CLIPVisionConfig;
  readonly vision_model: CLIPVisionTransformer;
  readonly visual_projection: Linear;

  constructor(config: Partial<CLIPVisionConfig> = {}) {
    super();
    this.config = {
      ...clipVisionConfig("CLIPVisionModelWithProjection", config),
      architectures: ["CLIPVisionModelWithProjection"],
      model_type: "clip_vision_model",
    };
    this.vision_model = new CLIPVisionTransformer("CLIPVisionModelWithProjection", this.config);
    this.visual_projection = projection(this.config, this.config.projection_dim);
  }

  /** Like CLIPVisionModel, with `imageEmbeds` [B, projection_dim], not normalised. */
  forward(pixels: tf.Tensor4D): CLIPVisionOutput & { imageEmbeds: tf.Tensor2D } {
    return tf.tidy(() => {
      const output = this.vision_model.forward(pixels);
      return { ...output, imageEmbeds: this.visual_projection.forward(output.pooled) };
    });
  }

  override examplePass(noise: ExampleNoise): ExamplePass {
    return visionPass(this, noise);
  }
}

/** A pass of a vision tower. */
function visionPass(tower: CLIPVisionModel | CLIPVisionModelWithProjection, noise: ExampleNoise): ExamplePass {
  const { image_size, num_channels } = tower.config;
  const pixels = noise.normal<tf.Tensor4D>(image_size, image_size, num_channels);
  return { forward: () => tower.forward(pixels).pooled, inputs: { pixels } };
}
