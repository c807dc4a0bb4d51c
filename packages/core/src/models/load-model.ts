import { optionNames, requireKnownOptions } from "../platform/known-options.js";
import type { ModelFiles } from "../platform/model-files.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { buildModel, type LoadModelOptions, type ModelFromConfigOptions, openModel } from "./build-model.js";
import type { Model } from "./model.js";
import { PUBLISHED } from "./published-configs.js";
import { MODEL_CLASSES } from "./model-classes.js";

const LOAD_OPTIONS = optionNames<LoadModelOptions>()({
  revision: true,
  token: true,
  signal: true,
  onProgress: true,
  classes: true,
  variant: true,
  dtype: true,
  subfolder: true,
  config: true,
  family: true,
  strict: true,
});

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
 *   WeightsMismatchError for files that do not fit; HubError for downloads; RangeError for an unknown option or family
 */
export async function loadModel(from: BytesFrom | ModelFiles, given: LoadModelOptions = {}): Promise<Model> {
  requireKnownOptions("loadModel", given, LOAD_OPTIONS);
  const { classes, ...options } = given;
  const { family } = options;
  if (family !== undefined && !Object.hasOwn(PUBLISHED, family))
    throw new RangeError(`family: ${String(family)}; expected one of ${Object.keys(PUBLISHED).join(", ")}.`);
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
