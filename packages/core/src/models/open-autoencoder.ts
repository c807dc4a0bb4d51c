import type { BytesFrom } from "../weights/open-bytes.js";
import { type Autoencoder, AUTOENCODERS, isAutoencoder } from "./autoencoder/autoencoder.js";
import { type LoadModelOptions, openModel, type PipelineConfig } from "./build-model.js";

export type { Autoencoder };

/**
 * The given autoencoder, or the one in a file or folder.
 *
 * @throws ModelConfigError if it contains another network; the errors of `loadModel`
 */
export async function autoencoderFrom(
  given: Autoencoder | BytesFrom,
  { classes, ...options }: LoadModelOptions & PipelineConfig = {},
): Promise<Autoencoder> {
  if (isAutoencoder(given)) return given;
  return (await openModel(given, { ...AUTOENCODERS, ...classes }, options)) as Autoencoder;
}
