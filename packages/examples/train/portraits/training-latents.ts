import * as tf from "@tensorflow/tfjs";
import { type AutoencoderKL, type LatentDistribution } from "@tfjs-diffusion/core/models";
import type { NoiseSource } from "@tfjs-diffusion/schedulers";
import type { TrainingPictures } from "../training-pictures.js";

const AT_ONCE = 50;

/** Pictures by index, as in {@link TrainingPictures}. */
export type PictureSource = Pick<TrainingPictures, "kind" | "size" | "batch"> & {
  /** Default: as wide as high. */
  width?: number;
};

/** The latents of a training set, encoded once: every picture's mean and deviation. */
export class TrainingLatents {
  private constructor(
    /** Height, width and channels of one picture's latents. */
    readonly shape: [number, number, number],
    readonly mean: Float32Array,
    readonly deviation: Float32Array,
    readonly scale: number,
  ) {}

  /** Encodes all pictures in batches, always in the same order, so that a resumed run gets the same bits. */
  static encode(vae: AutoencoderKL, pictures: PictureSource): TrainingLatents {
    const factor = 2 ** (vae.config.block_out_channels.length - 1);
    const height = pictures.kind.size;
    const shape: [number, number, number] = [
      height / factor,
      (pictures.width ?? height) / factor,
      vae.config.latent_channels,
    ];
    const length = tf.util.sizeFromShape(shape);
    const mean = new Float32Array(pictures.size * length);
    const deviation = new Float32Array(pictures.size * length);
    for (let first = 0; first < pictures.size; first += AT_ONCE) {
      const indices = Array.from({ length: Math.min(AT_ONCE, pictures.size - first) }, (_, i) => first + i);
      tf.tidy(() => {
        const found: LatentDistribution = vae.encode(pictures.batch(indices));
        mean.set(found.mean.dataSync(), first * length);
        deviation.set(found.logvar.mul(0.5).exp().dataSync(), first * length);
      });
    }
    return new TrainingLatents(shape, mean, deviation, vae.config.scaling_factor);
  }

  /**
   * Latents of the pictures at these indices, drawn from their distributions and scaled: [indices.length, ...shape];
   * the caller owns them.
   */
  batch(indices: readonly number[], noise: NoiseSource): tf.Tensor4D {
    const length = tf.util.sizeFromShape(this.shape);
    const gather = (all: Float32Array) => {
      const rows = new Float32Array(indices.length * length);
      indices.forEach((index, i) => rows.set(all.subarray(index * length, (index + 1) * length), i * length));
      return tf.tensor4d(rows, [indices.length, ...this.shape]);
    };
    return tf.tidy(() => {
      const mean = gather(this.mean);
      return mean.add(gather(this.deviation).mul(noise.normal(mean.shape))).mul<tf.Tensor4D>(this.scale);
    });
  }
}
