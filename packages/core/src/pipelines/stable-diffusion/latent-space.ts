import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "@tfjs-diffusion/schedulers";
import { toUnit } from "../../image/to-unit.js";
import type { AutoencoderKLConfig } from "../../models/autoencoder/autoencoder-kl-config.js";
import type { Autoencoder } from "../../models/autoencoder/autoencoder.js";
import { PreviewMap } from "./preview.js";
import { repeatRows } from "./text-conditioning.js";

/**
 * Pictures with more latents than this are processed one by one, in bands of this many rows: the same result in less
 * memory. So are batches with more latents than this together, without bands.
 */
const LARGE = 64 * 64;
const BAND_ROWS = 16;
const LARGE_BATCH = 4 * LARGE;

/**
 * The space that a latent diffusion model works in: its autoencoder's latents, shifted and scaled to a standard
 * deviation of about 1 (Rombach et al. 2022, appendix G: `scaling_factor`), or normalised for each channel by measured
 * values (`latents_mean` and `latents_std`, as in Playground v2.5).
 */
export class LatentSpace {
  /** Pixels per latent, along each side. */
  readonly factor: number;
  readonly channels: number;
  /** One for all channels, or one for each. */
  readonly #scale: number | number[];
  readonly #shift: number | number[];
  readonly #previewMap: PreviewMap;

  constructor(readonly vae: Autoencoder) {
    const { block_out_channels, latent_channels, scaling_factor, shift_factor } = vae.config;
    const { latents_mean, latents_std } = vae.config as Partial<AutoencoderKLConfig>;
    this.factor = 2 ** (block_out_channels.length - 1);
    this.channels = latent_channels;
    this.#scale = latents_std?.map((deviation) => scaling_factor / deviation) ?? scaling_factor;
    this.#shift = latents_mean ?? shift_factor ?? 0;
    this.#previewMap = new PreviewMap(this);
  }

  /**
   * Pictures [B, H, W, 3] in [0, 1] to latents [B copies, H / factor, W / factor, C], drawn `copies` times from the
   * distribution of each picture; the caller owns them.
   */
  encode(images: tf.Tensor4D, noise: NoiseSource, copies = 1): tf.Tensor4D {
    return tf.tidy(() => {
      const [batch, height, width] = images.shape;
      const encoded = this.vae.encode(images.mul<tf.Tensor4D>(2).sub(1), this.#pieces(batch, height, width));
      return drawn(encoded, noise, copies).sub<tf.Tensor4D>(this.#shift).mul(this.#scale);
    });
  }

  /**
   * Pictures [B, H, W, 3] in [0, 1] to the mean of their latents, neither shifted nor scaled, [B, H / factor, W /
   * factor, C]; the caller owns it.
   */
  encodeMean(images: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const [batch, height, width] = images.shape;
      const encoded = this.vae.encode(images.mul<tf.Tensor4D>(2).sub(1), this.#pieces(batch, height, width));
      return "latents" in encoded ? encoded.latents : encoded.mean;
    });
  }

  /** Latents [B, h, w, C] to pictures [B, h factor, w factor, 3] in [0, 1]; the caller owns them. */
  decode(latents: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => toUnit(this.decodeUnclipped(latents)));
  }

  /** {@link decode}, about [-1, 1] as the autoencoder returns them. */
  decodeUnclipped(latents: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const [batch, height, width] = latents.shape;
      const z = latents.div<tf.Tensor4D>(this.#scale).add<tf.Tensor4D>(this.#shift);
      return this.vae.decode(z, this.#pieces(batch, height * this.factor, width * this.factor));
    });
  }

  /** A small picture of latents [B, h, w, C], [B, h, w, 3] in [0, 1], by a {@link PreviewMap}; the caller owns it. */
  preview(latents: tf.Tensor4D): tf.Tensor4D {
    return this.#previewMap.preview(latents);
  }

  #pieces(batch: number, height: number, width: number) {
    const latents = (height * width) / this.factor ** 2;
    if (latents > LARGE) return { bandRows: BAND_ROWS, oneByOne: true };
    return batch * latents > LARGE_BATCH ? { oneByOne: true } : {};
  }
}

/** Latents of each picture, `copies` times: a draw from their distribution, or what a tiny autoencoder gives. */
function drawn(encoded: ReturnType<Autoencoder["encode"]>, noise: NoiseSource, copies: number): tf.Tensor4D {
  if ("latents" in encoded) return repeatRows(encoded.latents, copies);
  const [mean, logvar] = [repeatRows(encoded.mean, copies), repeatRows(encoded.logvar, copies)];
  return mean.add(logvar.mul(0.5).exp().mul(noise.normal(mean.shape)));
}

/** Returns the space of an autoencoder, and keeps it until it is called with another one. */
export function latentSpaces(): (vae: Autoencoder) => LatentSpace {
  let space: LatentSpace | undefined;
  return (vae) => (space?.vae === vae ? space : (space = new LatentSpace(vae)));
}
