import type { BytesFrom } from "../weights/open-bytes.js";
import { buildModel, type LoadModelOptions, type ModelFromConfigOptions, openModel } from "./build-model.js";
import type { Model } from "./model.js";
import { MODEL_CLASSES } from "./model-classes.js";

/**
 * Builds the network that a folder's `config.json` names (`_class_name` as diffusers writes it, `architectures` as
 * transformers does) and fills it with the folder's safetensors weights. If "owner/name" is not a local folder, it
 * names a model of the Hugging Face hub, which is downloaded into the cache that Python's libraries use (see
 * downloadFromHub).
 *
 * One `.safetensors` file with a UNet, autoencoder, ControlNet, T2I-Adapter, IP-Adapter or text encoder opens, too,
 * with the names of diffusers, transformers, latent diffusion's first code or OpenCLIP.
 *
 * @throws ModelConfigError for an unknown class or a config that is not supported; WeightsFormatError,
 *   WeightsMismatchError for files that do not fit; HubError for downloads
 */
export function loadModel(from: BytesFrom, { classes, ...options }: LoadModelOptions = {}): Promise<Model> {
  return openModel(from, { ...MODEL_CLASSES, ...classes }, options);
}

/**
 * Builds the network of a config without weights; allocates nothing.
 *
 * @param from the config's file, which errors name; by default none
 * @throws ModelConfigError for an unknown class or a config that is not supported
 */
export function modelFromConfig(
  config: Readonly<Record<string, unknown>>,
  { classes = {}, from }: ModelFromConfigOptions & { from?: string } = {},
): Model {
  return buildModel(config, { ...MODEL_CLASSES, ...classes }, from);
}
