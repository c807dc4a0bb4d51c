import { configFolder } from "../hub/model-source.js";
import type { AutoencoderKLConfig } from "../models/autoencoder/autoencoder-kl-config.js";
import { fileExists, joinPath } from "../platform/files.js";
import { warn } from "../platform/warn.js";
import { readJsonObject } from "../weights/read-json.js";
import type { SafetensorsFile } from "../weights/safetensors.js";
import type { CheckpointFamily } from "../models/published-configs.js";
import { FAMILIES } from "./families.js";
import { predictionOf } from "./prediction.js";
import { readMarks } from "./scheduler-marks.js";

/** Settings from the caller. */
export interface FileSchedulerOptions {
  /** A folder, or a model on the hub, whose `scheduler/` is taken if it has one. */
  config?: string;
  predictionType?: string;
}

/** The scheduler of a single file. */
export interface FileScheduler {
  /** Its `scheduler_config.json`. */
  schedulerConfig: Record<string, unknown>;
  /** Keys of the autoencoder's config that the file's marks set. */
  vae: Partial<AutoencoderKLConfig>;
  /** Marks in the file that have no meaning there. */
  unused: string[];
}

/**
 * The scheduler that a single file is sampled with: that of the `config` folder, or else of its family; changed by what
 * the file says of its own training (see {@link readMarks} and {@link predictionOf}), and by `predictionType` before
 * all. Where the metadata of the file and the folder name different prediction types, it is v_prediction: programs that
 * do not know write epsilon. Borrows the file.
 */
export async function fileScheduler(
  file: SafetensorsFile,
  family: CheckpointFamily,
  { config, predictionType }: FileSchedulerOptions,
): Promise<FileScheduler> {
  const given = config === undefined ? undefined : await schedulerOfFolder(await configFolder(config));
  const guess = await predictionOf(file, family);
  const folderType = given && ((given.prediction_type ?? "epsilon") as string);
  const isDoubtful = folderType !== undefined && guess.certainty === "stated" && guess.type !== folderType;
  const ownType = folderType === undefined || (isDoubtful && guess.type === "v_prediction") ? guess.type : folderType;
  const type = predictionType ?? ownType;
  const base = given ?? FAMILIES[family].scheduler;
  const asked = type === folderType ? base : { ...base, prediction_type: type };
  const { scheduler, ...others } = await readMarks(file, family, asked);
  const isMarked = scheduler !== asked;
  if (isDoubtful && predictionType === undefined && !isMarked) {
    warn(
      `${file.name}: predicts ${guess.type}, as ${guess.reason}; the scheduler of ${config} says ${folderType}. ` +
        `Taken as ${type}; give { predictionType } to decide.`,
    );
  }
  const overruled = predictionType === undefined ? {} : { prediction_type: predictionType };
  return { schedulerConfig: { ...scheduler, ...overruled }, ...others };
}

/** The `scheduler_config.json` of a pipeline's folder, if it has one. */
export async function schedulerOfFolder(folder: string): Promise<Record<string, unknown> | undefined> {
  const path = joinPath(folder, "scheduler", "scheduler_config.json");
  if (!(await fileExists(path))) return undefined;
  return readJsonObject(path, { remedy: "Copy it from the model's page, or remove it." });
}
