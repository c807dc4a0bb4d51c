import {
  type Scheduler,
  type SchedulerClass,
  SchedulerConfigError,
  schedulerFromConfig,
} from "@tfjs-diffusion/schedulers";
import { configsOf, modelFolder } from "../../hub/model-source.js";
import { buildModel, type ModelClasses, openModel } from "../../models/build-model.js";
import { type Autoencoder, autoencoderFrom } from "../../models/open-autoencoder.js";
import { requireRoomForWeights } from "../../models/weights-memory.js";
import type { Model } from "../../models/model.js";
import type { CheckpointFamily } from "../../models/published-configs.js";
import { backendMemory } from "../../platform/backend-memory.js";
import { joinPath } from "../../platform/files.js";
import { readReplaced } from "../../platform/read-replaced.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import { readConfig } from "../../weights/model-folder.js";
import { readJsonObject } from "../../weights/read-json.js";
import {
  allowedClasses,
  MODEL_INDEX,
  type PartRequirement,
  type PartRequirements,
  readModelIndex,
  SCHEDULER_FILE,
} from "./model-index.js";
import { type LatentFolderOptions, requireOpenOptions } from "./open-options.js";
import type { PipelineParts, WritePipelineOptions } from "./save-pipeline-folder.js";
import { isModelFiles, type ModelPlace } from "../../platform/model-files.js";

export type { FromPretrainedOptions, LatentFolderOptions } from "./open-options.js";

/** A folder in the layout of diffusers, whose parts are read one by one. */
export class PipelineFolder {
  readonly #networks: Model[] = [];

  private constructor(
    readonly folder: string,
    private readonly required: PartRequirements,
    readonly present: ReadonlySet<string>,
    /** Entries of the index that are not parts. */
    readonly settings: Readonly<Record<string, unknown>>,
    readonly options: Pick<LatentFolderOptions, "variant" | "dtype" | "classes" | "vae">,
  ) {}

  /**
   * Checks that the folder holds the parts that `required` names, and passes the folder to `build`. If `build` fails,
   * the networks that it read are freed. If another process saves over the folder meanwhile, it is read again, so that
   * all parts are of one pipeline. If "owner/name" is not a local folder, it names a pipeline of the hub, and
   * these parts are downloaded.
   *
   * @throws PipelineFolderError if a part is missing, is of another class or is not used by this pipeline; HubError for
   *   downloads; BackendMemoryError before them, if the backend cannot hold the weights
   */
  static async open<P>(
    from: ModelPlace,
    required: PartRequirements,
    options: LatentFolderOptions,
    build: (folder: PipelineFolder) => Promise<P>,
  ): Promise<P> {
    requireOpenOptions(options);
    const { variant, dtype, classes, vae, revision, token, signal, onProgress } = options;
    const source = { revision, token, signal, onProgress };
    const needed = vae === undefined ? required : { ...required, vae: { ...required.vae, optional: true } };
    if (backendMemory()) {
      // From the configs alone, before gigabytes are downloaded.
      const configs = await configsOf(from, source);
      const { vae: _, ...others } = needed;
      const read = vae === undefined ? needed : others;
      const networks = configs === undefined ? [] : await unfilledNetworks(configs, read, classes as ModelClasses);
      requireRoomForWeights(isModelFiles(from) ? "the model" : String(from), networks);
    }
    const folder = await modelFolder(from, { ...source, variant, parts: partsInUse(needed) });
    let networks: readonly Model[] = [];
    const free = () => {
      for (const network of networks) network.dispose();
    };
    const read = async () => {
      const { present, settings } = await readModelIndex(folder, needed, Object.keys(classes ?? {}));
      const opened = new PipelineFolder(folder, needed, present, settings, { variant, dtype, classes, vae });
      networks = opened.#networks;
      return build(opened).catch((error: unknown) => {
        free();
        throw error;
      });
    };
    return readReplaced(folder, MODEL_INDEX, read, free);
  }

  /** A network. The cast to `M` is safe because the class of this part was checked. */
  async model<M extends object>(part: string): Promise<M> {
    const { classes, ...options } = this.#loadOptions;
    const model = await openModel(
      joinPath(this.folder, part),
      { ...this.required[part]?.networks, ...classes },
      options,
    );
    this.#networks.push(model);
    return model as unknown as M;
  }

  get #loadOptions() {
    const { variant, dtype, classes } = this.options;
    return { variant, dtype, classes: classes as ModelClasses | undefined };
  }

  /**
   * The autoencoder of the folder, or the one that was given in its place. A file without a config of its own has the
   * folder's, else that of the family.
   */
  async autoencoder(family: CheckpointFamily): Promise<Autoencoder> {
    const { vae } = this.options;
    if (vae === undefined) return this.model<Autoencoder>("vae");
    const model = await autoencoderFrom(vae, { ...this.#loadOptions, pipeline: this.folder, family });
    if (model !== vae) this.#networks.push(model);
    return model;
  }

  /** A network that may be missing. */
  async optionalModel<M extends object>(part: string): Promise<M | undefined> {
    return this.present.has(part) ? this.model<M>(part) : undefined;
  }

  tokenizer(part = "tokenizer"): Promise<CLIPTokenizer> {
    return CLIPTokenizer.fromFolder(joinPath(this.folder, part));
  }

  async scheduler(part = "scheduler"): Promise<Scheduler> {
    const path = joinPath(this.folder, part, SCHEDULER_FILE);
    const remedy = "Copy it from the model's page, or write one: it names the sampler and its noise levels.";
    const classes = this.options.classes as Record<string, SchedulerClass> | undefined;
    const config = await readJsonObject(path, { remedy });
    try {
      return schedulerFromConfig(config, { classes });
    } catch (error) {
      if (error instanceof SchedulerConfigError) error.message = `${path}: ${error.message}`;
      throw error;
    }
  }
}

/**
 * The networks of a folder without their weights. What cannot be built is left out: the reader of the weights says what
 * is wrong with it.
 */
async function unfilledNetworks(
  folder: string,
  required: Readonly<Record<string, PartRequirement>>,
  own: ModelClasses | undefined,
): Promise<Model[]> {
  const networks: Model[] = [];
  for (const [part, { networks: known }] of Object.entries(required)) {
    if (!known) continue;
    const inside = joinPath(folder, part);
    const config = await readConfig(inside).catch(() => undefined);
    try {
      if (config) networks.push(buildModel(config, { ...known, ...own }, inside));
    } catch {
      continue;
    }
  }
  return networks;
}

/** Parts that may be present but have no class here are never opened. */
function partsInUse(required: PartRequirements): string[] {
  const isOpened = (part: PartRequirement) => !part.optional || allowedClasses(part) !== undefined;
  return Object.keys(required).filter((part) => isOpened(required[part]!));
}

/**
 * Writes a folder that {@link PipelineFolder} reads. At every moment it holds the old pipeline or the new one.
 *
 * @throws PipelinePartsError before any work, if a network of your own lacks the `save` and `config` of a Model
 */
export async function writePipelineFolder(
  folder: string,
  className: string,
  parts: PipelineParts,
  options: WritePipelineOptions = {},
): Promise<void> {
  const { savePipelineFolder } = await import("./save-pipeline-folder.js");
  await savePipelineFolder(folder, className, parts, options);
}
