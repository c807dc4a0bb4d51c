import { type HubModelOptions, modelFolder } from "../hub/model-source.js";
import { joinPath } from "../platform/files.js";
import { readConfig, readModelFolder } from "../weights/model-folder.js";
import type { WeightPrecision } from "../weights/parameters.js";
import { ModelConfigError } from "./errors.js";
import { libraryAndClass } from "./library-and-class.js";
import type { Model } from "./model.js";
import { MODEL_CLASSES, type ModelClass } from "./model-classes.js";

/** Which classes a config may name, besides those that are known here. */
export interface ModelFromConfigOptions {
  /** Classes of one's own by the `_class_name` in their config, such as `{ MyDenoiser }`; looked up first. */
  classes?: Readonly<Record<string, ModelClass>>;
}

/** Which weights of a folder to load, and how precisely. */
export interface LoadModelOptions extends HubModelOptions, ModelFromConfigOptions {
  /** Which of several sets of weights: "fp16" for `diffusion_pytorch_model.fp16.safetensors`. */
  variant?: string;
  /**
   * Rounds the weights to this precision, as a model that was loaded or saved in it has them; they are kept as float32.
   * Default: as stored.
   */
  dtype?: WeightPrecision;
  /** The folder of the network inside the given one, such as "unet" in a pipeline. */
  subfolder?: string;
}

/**
 * Builds the network that a folder's `config.json` names (`_class_name` as diffusers writes it, `architectures` as
 * transformers does) and fills it with the folder's safetensors weights. "owner/name", where no such folder is, is a
 * model of the Hugging Face hub, which is downloaded into the cache that Python's libraries use (see downloadFromHub).
 *
 * @throws ModelConfigError for a class that is not known, or a config that is not built here; WeightsFormatError,
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
 * The network of a config, without weights: nothing is allocated.
 *
 * @param from what errors call the config
 * @throws ModelConfigError for a class that is not known, or a config that is not built here
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
    // Layers know numbers that do not go together, and not whose they are.
    if (error instanceof RangeError) throw new ModelConfigError(`${name}: ${error.message}`, { cause: error });
    throw error;
  }
}
