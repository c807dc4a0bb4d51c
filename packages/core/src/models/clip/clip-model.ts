import * as tf from "@tensorflow/tfjs";
import { constant } from "../../nn/initializers.js";
import type { Linear } from "../../nn/linear.js";
import { Parameter } from "../../nn/parameter.js";
import { type CLIPConfig, clipConfig, clipTextConfig, clipVisionConfig } from "./clip-config.js";
import { CLIPTextTransformer, projection } from "./clip-text-model.js";
import { CLIPVisionTransformer } from "./clip-vision-model.js";
import { Model } from "../model.js";

/** The output of CLIP for pictures and texts; the caller owns all of it. */
export interface CLIPOutput {
  /** Cosine similarities times exp(logit_scale), [pictures, texts]. */
  logitsPerImage: tf.Tensor2D;
  /** [texts, pictures]. */
  logitsPerText: tf.Tensor2D;
  /** [texts, projection_dim], of length 1. */
  textEmbeds: tf.Tensor2D;
  /** [pictures, projection_dim], of length 1. */
  imageEmbeds: tf.Tensor2D;
  /** The contrastive loss; NaN unless the numbers of texts and pictures are equal. */
  loss: tf.Scalar;
}

/**
 * CLIP (Radford et al. 2021, figure 3): a text tower and a vision tower, trained so that a picture and its caption
 * point the same way in a shared space.
 *
 * forward: int32 ids [N, L], pixels [N, S, S, channels] -> {@link CLIPOutput}; the caller owns all of it.
 */
export class CLIPModel extends Model {
  readonly config: CLIPConfig;
  readonly logit_scale: Parameter;
  readonly text_model: CLIPTextTransformer;
  readonly vision_model: CLIPVisionTransformer;
  readonly visual_projection: Linear;
  readonly text_projection: Linear;

  constructor(config: Partial<CLIPConfig> = {}) {
    super();
    this.config = { ...clipConfig(config), architectures: ["CLIPModel"], model_type: "clip" };
    const text = clipTextConfig("CLIPModel text_config", this.config.text_config);
    const vision = clipVisionConfig("CLIPModel vision_config", this.config.vision_config);
    this.logit_scale = new Parameter([], constant(this.config.logit_scale_init_value));
    this.text_model = new CLIPTextTransformer("CLIPModel", text);
    this.vision_model = new CLIPVisionTransformer("CLIPModel", vision);
    this.visual_projection = projection(vision, this.config.projection_dim);
    this.text_projection = projection(text, this.config.projection_dim);
  }

  /**
   * Compares every text with every picture: int32 ids [texts, L], pixels [pictures, image_size, image_size,
   * num_channels].
   *
   * @throws ModelInputError for other shapes, texts that are too long and ids outside the vocabulary
   */
  forward(ids: tf.Tensor2D, pixels: tf.Tensor4D): CLIPOutput {
    return tf.tidy(() => {
      const textEmbeds = unit(this.text_projection.forward(this.text_model.forward(ids).pooled));
      const imageEmbeds = unit(this.visual_projection.forward(this.vision_model.forward(pixels).pooled));
      const logitsPerText = tf
        .matMul(textEmbeds, imageEmbeds, false, true)
        .mul<tf.Tensor2D>(this.logit_scale.value.exp());
      const logitsPerImage = logitsPerText.transpose<tf.Tensor2D>();
      const isPaired = ids.shape[0] === pixels.shape[0];
      const loss = isPaired ? contrastiveLoss(logitsPerText) : tf.scalar(NaN);
      return { logitsPerImage, logitsPerText, textEmbeds, imageEmbeds, loss };
    });
  }
}

/** Rows scaled to length 1. */
function unit(rows: tf.Tensor2D): tf.Tensor2D {
  return rows.div(rows.square().sum(1, true).sqrt());
}

/**
 * Radford et al. 2021, figure 3: cross-entropy of picking each text's picture and each picture's text. Square logits ->
 * scalar.
 */
export function contrastiveLoss(logits: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() => {
    const pairs = tf.eye(logits.shape[0]);
    const picked = tf.logSoftmax(logits).add(tf.logSoftmax(logits.transpose())).mul(pairs).sum();
    return picked.mul<tf.Scalar>(-0.5 / logits.shape[0]);
  });
}
