import { type HubModelOptions, modelFolder } from "../hub/model-source.js";
import { joinPath } from "../platform/files.js";
import { readConfig, readModelFolder } from "../weights/model-folder.js";
import type { WeightPrecision } from "../weights/parameters.js";
import { ModelConfigError } from "./errors.js";
import { libraryAndClass } from "./library-and-class.js";
import type { Model } from "./model.js";
import { MODEL_CLASSES, type ModelClass } from "./model-classes.js";

/** Classes that a config may name, besides the built-in ones. */
export interface ModelFromConfigOptions {
  /** Your own classes by the `_class_name` in their config, such as `{ MyDenoiser }`. They are looked up first. */
  classes?: Readonly<Record<string, ModelClass>>;
}

/** Which weights of a folder to load, and their precision. */
export interface LoadModelOptions extends HubModelOptions, ModelFromConfigOptions {
  /** The variant of the weights: "fp16" for `diffusion_pytorch_model.fp16.safetensors`. */
  variant?: string;
  /**
   * Rounds the weights to this precision, as if the model had been saved in it; they are kept as float32. Default: no
   * rounding.
   */
  dtype?: WeightPrecision;
  /** The network's folder inside the given one, such as "unet" in a pipeline. */
  subfolder?: string;
}

/**
 * Builds the network that a folder's `config.json` names (`_class_name` as diffusers writes it, `architectures` as
 * transformers does) and fills it with the folder's safetensors weights. If there is no folder "owner/name", it is
 * taken as a model of the Hugging Face hub and downloaded into the cache that Python's libraries use (see
 * downloadFromHub).
 *
 * @throws ModelConfigError for an unknown class or a config that is not supported; WeightsFormatError,
 *   WeightsMismatchError for files that do not fit; HubError for downloads
 */
export async function loadModel(from: string | URL, options: LoadModelOptions = {}): Promise<Model> {
  const { subfolder = "" } = options;
  const folder = joinPath(await modelFolder(from, options), ...(subfolder === "" ? [] : [subfolder]));
  const config = await readConfig(folder);
  const model = modelFromConfig(config, { classes: options.classes, from: folder });
  try {
    await readModelFolder(folder, model.namedParameters(), options);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}

/**
 * Builds the network of a config without weights; allocates nothing.
 *
 * @param from the name of the config in errors
 * @throws ModelConfigError for an unknown class or a config that is not supported
 */
export function modelFromConfig(
  config: Readonly<Record<string, unknown>>,
  { classes = {}, from = "The config" }: ModelFromConfigOptions & { from?: string } = {},
): Model {
  const { className: name } = libraryAndClass(config);
  const known = { ...MODEL_CLASSES, ...classes };
  const Class = name !== undefined && Object.hasOwn(known, name) ? known[name] : undefined;
  if (!Class) {
    throw new ModelConfigError(
      `${from}: ${name === undefined ? "no _class_name or architectures names the network" : `${JSON.stringify(name)} is not a known network`}; ` +
        `known: ${Object.keys(known).join(", ")}. Give a class of your own as classes: { MyDenoiser }.`,
    );
  }
  try {
    return new Class({ ...config });
  } catch (error) {
    // Layers refuse numbers that do not fit together, but do not know the class of the network.
    if (error instanceof RangeError) throw new ModelConfigError(`${name}: ${error.message}`, { cause: error });
    throw error;
  }
}
