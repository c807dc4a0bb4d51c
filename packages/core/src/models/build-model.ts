import { configFolder, type HubModelOptions, modelFolder } from "../hub/model-source.js";
import { joinPath } from "../platform/files.js";
import { readReplaced } from "../platform/read-replaced.js";
import { readConfig, readModelFolder } from "../weights/model-folder.js";
import { tellLeftOvers } from "../weights/left-overs.js";
import { type BytesFrom, isSingleFile } from "../weights/open-bytes.js";
import type { ModelFiles } from "../platform/model-files.js";
import { readParameters, type WeightPrecision } from "../weights/parameters.js";
import { openSafetensors } from "../weights/safetensors.js";
import { ModelConfigError } from "./errors.js";
import { libraryAndClass } from "./library-and-class.js";
import type { Model } from "./model.js";
import type { CheckpointFamily } from "./published-configs.js";
import { requireRoomForWeights } from "./weights-memory.js";

/** Written anew by every save. */
const CONFIG = "config.json";

/** A class of networks, built from a config. */
export type ModelClass = new (config: Record<string, unknown>) => Model;

/** Classes by the name that a config gives them. */
export type ModelClasses = Readonly<Record<string, ModelClass>>;

/** Classes that a config may name, besides the built-in ones. */
export interface ModelFromConfigOptions {
  /** Your own classes by the `_class_name` in their config, such as `{ MyDenoiser }`. They are looked up first. */
  classes?: ModelClasses;
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
  /** The network's folder inside the given one, such as "unet" in a pipeline; or which of the networks of a file. */
  subfolder?: string;
  /**
   * For a file: a folder, or a model on the hub, with the network's `config.json`, or of a whole pipeline. Default: the
   * config beside a file of a folder, else as the family was published.
   */
  config?: string;
  /** For a file without a config: what its names do not tell. An autoencoder of XL has the names of 1's. */
  family?: CheckpointFamily;
  /** For a file: refuses tensors without a use, in place of a warning. Default false. */
  strict?: boolean;
}

/** The pipeline that a network is opened for. */
export interface PipelineConfig {
  /** Its folder. A file without a config of its own has that of the part in it, if there is one. */
  pipeline?: string;
}

/**
 * Like `modelFromConfig`, for one of the given classes only. A bundle then holds these classes and no others.
 *
 * @param file the config's file, which errors name; none for a config of a program
 */
export function buildModel(config: Readonly<Record<string, unknown>>, classes: ModelClasses, file?: string): Model {
  const from = file ?? "The config";
  const { className: name } = libraryAndClass(config);
  const Class = name !== undefined && Object.hasOwn(classes, name) ? classes[name] : undefined;
  if (name !== undefined && Object.hasOwn(classes, name) && typeof Class !== "function") {
    throw new ModelConfigError(
      `${from}: classes has ${String(Class)} for ${name}; give the class itself, as classes: { ${name} }.`,
    );
  }
  if (!Class) {
    throw new ModelConfigError(
      `${from}: ${name === undefined ? "no _class_name or architectures names the network" : `${JSON.stringify(name)} is not a known network`}; ` +
        `known: ${Object.keys(classes).join(", ")}. Give a class of your own as classes: { MyDenoiser }.`,
    );
  }
  try {
    return new Class({ ...config });
  } catch (error) {
    const place = file === undefined ? "" : `${file}: `;
    // Layers refuse numbers that do not fit together, but do not know the class of the network.
    if (error instanceof RangeError) throw new ModelConfigError(`${place}${name}: ${error.message}`, { cause: error });
    if (error instanceof ModelConfigError) error.message = place + error.message;
    throw error;
  }
}

/**
 * Like `loadModel`, for one of the given classes only. If another process saves over the folder meanwhile, it is read
 * again, so that config and weights are of one network.
 */
export async function openModel(
  from: BytesFrom | ModelFiles,
  classes: ModelClasses,
  options: Omit<LoadModelOptions, "classes"> & PipelineConfig,
): Promise<Model> {
  if (isSingleFile(from)) return openNetworkFile(from, classes, options);
  const { subfolder = "" } = options;
  const folder = joinPath(await modelFolder(from, options), ...(subfolder === "" ? [] : [subfolder]));
  const read = async () => {
    const config = await readConfig(folder);
    const model = buildModel(config, classes, joinPath(folder, CONFIG));
    requireRoomForWeights(folder, [model]);
    try {
      const { library } = libraryAndClass(config);
      await readModelFolder(folder, model.namedParameters(), { ...options, library });
    } catch (error) {
      model.dispose();
      throw error;
    }
    return model;
  };
  return readReplaced(folder, CONFIG, read, (mixture) => mixture.dispose());
}

async function openNetworkFile(
  from: BytesFrom,
  classes: ModelClasses,
  { subfolder = "", dtype, strict, ...options }: Omit<LoadModelOptions, "classes"> & PipelineConfig,
): Promise<Model> {
  const { configOfNetwork, networkIn, viewOfNetwork } = await import("./network-file.js");
  const file = await openSafetensors(from);
  try {
    const network = networkIn(file, subfolder);
    const config = options.config === undefined ? undefined : await configFolder(options.config);
    const content = await configOfNetwork(from, file, network, { ...options, config });
    const model = buildModel(content, classes, config ?? file.name);
    try {
      const { stored, unused } = viewOfNetwork(file, model, network);
      tellLeftOvers(file.name, unused, strict);
      await readParameters(stored, model.namedParameters(), { dtype });
    } catch (error) {
      model.dispose();
      throw error;
    }
    return model;
  } finally {
    await file.close();
  }
}
