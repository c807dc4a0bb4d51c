import { type FromConfigOptions, schedulerFromConfig, type Scheduler } from "@tfjs-diffusion/schedulers";
import { modelFolder } from "../../hub/model-source.js";
import { CLIPImageProcessor } from "../../image/clip-image-processor.js";
import { loadModel, type LoadModelOptions } from "../../models/load-model.js";
import type { Model } from "../../models/model.js";
import { joinPath, writeText } from "../../platform/files.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import { parsePythonJson, readJsonObject } from "../../weights/read-json.js";
import { MODEL_INDEX, type PartRequirement, readModelIndex } from "./model-index.js";

const SCHEDULER_FILE = "scheduler_config.json";

/**
 * How to find a pipeline's folder, and which weights to take of it. `classes` are classes of schedulers of one's own by
 * the `_class_name` in their `scheduler_config.json`.
 */
export type FromPretrainedOptions = Omit<LoadModelOptions, "subfolder"> & FromConfigOptions;

/** The parts of a folder in the layout of diffusers, read when asked for. */
export class PipelineFolder {
  readonly #networks: Model[] = [];

  private constructor(
    readonly folder: string,
    readonly present: ReadonlySet<string>,
    /** Entries of the index that are no parts. */
    readonly settings: Readonly<Record<string, unknown>>,
    readonly options: Pick<FromPretrainedOptions, "variant" | "dtype" | "classes">,
  ) {}

  /**
   * Checks that the folder holds the parts that `required` names, and gives them to `build`; frees what was read if
   * that fails. "owner/name", where there is no such folder, is a pipeline of the hub, of which these parts are
   * downloaded.
   *
   * @throws PipelineFolderError if a part is missing, is of another class or has no use in this pipeline; HubError for
   *   downloads
   */
  static async open<P>(
    from: string | URL,
    required: Record<string, PartRequirement>,
    { variant, dtype, classes, ...source }: FromPretrainedOptions,
    build: (folder: PipelineFolder) => Promise<P>,
  ): Promise<P> {
    const folder = await modelFolder(from, { ...source, variant, parts: partsInUse(required) });
    const { present, settings } = await readModelIndex(folder, required);
    const opened = new PipelineFolder(folder, present, settings, { variant, dtype, classes });
    try {
      return await build(opened);
    } catch (error) {
      for (const network of opened.#networks) network.dispose();
      throw error;
    }
  }

  async model<M extends Model>(part: string): Promise<M> {
    const model = (await loadModel(joinPath(this.folder, part), this.options)) as M;
    this.#networks.push(model);
    return model;
  }

  /** A network that may be missing. */
  async optionalModel<M extends Model>(part: string): Promise<M | undefined> {
    return this.present.has(part) ? this.model<M>(part) : undefined;
  }

  tokenizer(part = "tokenizer"): Promise<CLIPTokenizer> {
    return CLIPTokenizer.fromFolder(joinPath(this.folder, part));
  }

  imageProcessor(part = "feature_extractor"): Promise<CLIPImageProcessor> {
    return CLIPImageProcessor.fromFolder(joinPath(this.folder, part));
  }

  async scheduler(part = "scheduler"): Promise<Scheduler> {
    const path = joinPath(this.folder, part, SCHEDULER_FILE);
    const remedy = "Copy it from the model's page, or write one: it names the sampler and its noise levels.";
    return schedulerFromConfig(await readJsonObject(path, { remedy, parse: parsePythonJson }), this.options);
  }
}

/** What may be there but has no class here is never opened. */
function partsInUse(required: Record<string, PartRequirement>): string[] {
  const isOpened = ({ className, optional = false }: PartRequirement) => className !== undefined || !optional;
  return Object.keys(required).filter((part) => isOpened(required[part]!));
}

/** What a pipeline is made of, by the names of the subfolders; undefined: absent. */
export type PipelineParts = Record<string, Model | CLIPTokenizer | CLIPImageProcessor | Scheduler | undefined>;

/** What stands in an index besides the parts, and how to write these. */
export interface WritePipelineOptions {
  /** Entries of the index that name no part. */
  others?: Record<string, unknown>;
  save?: SaveOptions;
}

/** Writes what {@link PipelineFolder} reads. */
export async function writePipelineFolder(
  folder: string,
  className: string,
  parts: PipelineParts,
  { others, save }: WritePipelineOptions = {},
): Promise<void> {
  const index: Record<string, unknown> = { ...others };
  for (const [name, part] of Object.entries(parts)) {
    if (part === undefined) continue;
    if (part instanceof CLIPTokenizer || part instanceof CLIPImageProcessor) {
      await part.save(joinPath(folder, name));
      index[name] = ["transformers", part instanceof CLIPTokenizer ? "CLIPTokenizer" : "CLIPImageProcessor"];
    } else if ("plan" in part) {
      await writeText(joinPath(folder, name, SCHEDULER_FILE), toJson(part.config));
      index[name] = ["diffusers", part.config._class_name];
    } else {
      await part.save(joinPath(folder, name), save);
      index[name] = libraryAndClass(part);
    }
  }
  const sorted = Object.fromEntries(Object.entries(index).sort(([a], [b]) => (a < b ? -1 : 1)));
  // Last, so that a folder with an index is a whole one.
  await writeText(joinPath(folder, MODEL_INDEX), toJson({ _class_name: className, ...sorted }));
}

/** Configs of diffusers say `_class_name`, those of transformers `architectures`. */
function libraryAndClass({ config }: Model): [string, string] {
  const { _class_name, architectures } = config as { _class_name?: string; architectures?: string[] };
  return _class_name === undefined ? ["transformers", architectures![0]!] : ["diffusers", _class_name];
}

function toJson(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
