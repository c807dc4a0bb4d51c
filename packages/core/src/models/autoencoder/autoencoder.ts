import { AutoencoderKL } from "./autoencoder-kl.js";
import { AutoencoderTiny } from "./autoencoder-tiny.js";

/** What encodes pictures to latents and decodes them: the models' own autoencoder, or a small one that imitates it. */
export type Autoencoder = AutoencoderKL | AutoencoderTiny;

/** The classes that a config may name. */
export const AUTOENCODERS = { AutoencoderKL, AutoencoderTiny };

export function isAutoencoder(value: unknown): value is Autoencoder {
  return value instanceof AutoencoderKL || value instanceof AutoencoderTiny;
}
