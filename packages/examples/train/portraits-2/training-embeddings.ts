import * as tf from "@tensorflow/tfjs";
import type { CLIPVisionModelWithProjection } from "@tfjs-diffusion/core/models";
import type { TrainingPictures } from "../training-pictures.js";

const AT_ONCE = 100;

/** CLIP's embeddings of a training set, computed once. */
export class TrainingEmbeddings {
  private constructor(
    readonly width: number,
    /** One row a picture. */
    readonly values: Float32Array,
  ) {}

  /** Embeds all pictures in batches, always in the same order, so that a resumed run gets the same bits. */
  static encode(vision: CLIPVisionModelWithProjection, pictures: TrainingPictures): TrainingEmbeddings {
    const width = vision.config.projection_dim;
    const values = new Float32Array(pictures.size * width);
    for (let first = 0; first < pictures.size; first += AT_ONCE) {
      const indices = Array.from({ length: Math.min(AT_ONCE, pictures.size - first) }, (_, i) => first + i);
      tf.tidy(() => values.set(vision.forward(pictures.batch(indices)).imageEmbeds.dataSync(), first * width));
    }
    return new TrainingEmbeddings(width, values);
  }

  /** Embeddings of the pictures at these indices: [indices.length, width], which the caller owns. */
  batch(indices: readonly number[]): tf.Tensor2D {
    const { width, values } = this;
    const rows = new Float32Array(indices.length * width);
    indices.forEach((index, i) => rows.set(values.subarray(index * width, (index + 1) * width), i * width));
    return tf.tensor2d(rows, [indices.length, width]);
  }

  /** Mean and standard deviation of each of the `width` numbers, [1, width]; the caller owns them. */
  moments(): { mean: tf.Tensor2D; deviation: tf.Tensor2D } {
    return tf.tidy(() => {
      const all = tf.tensor2d(this.values, [this.values.length / this.width, this.width]);
      const { mean, variance } = tf.moments(all, 0, true);
      return { mean: mean as tf.Tensor2D, deviation: variance.sqrt() as tf.Tensor2D };
    });
  }
}
