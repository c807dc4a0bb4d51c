import type { SchedulerClass } from "@tfjs-diffusion/schedulers";
import type { LoadModelOptions, ModelClass } from "../../models/build-model.js";
import type { Autoencoder } from "../../models/open-autoencoder.js";
import { optionNames, requireKnownOptions } from "../../platform/known-options.js";
import type { BytesFrom } from "../../weights/open-bytes.js";
import { PipelineOptionError } from "../options/errors.js";
import type { StableDiffusionFileOptions } from "./pipeline-file.js";

/** How to find a pipeline's folder, and which of its weights to load. */
export interface FromPretrainedOptions extends Omit<
  LoadModelOptions,
  "subfolder" | "classes" | "config" | "family" | "strict"
> {
  /**
   * Your own classes of networks and schedulers by the `_class_name` in their config, such as `{ MyDenoiser,
   * MyScheduler }`. They are looked up first.
   */
  classes?: Readonly<Record<string, ModelClass | SchedulerClass>>;
}

/** The same for a pipeline with an autoencoder. */
export interface LatentFolderOptions extends FromPretrainedOptions {
  /**
   * Another autoencoder in place of the folder's: a network, or a file or folder of one. The pipeline then owns it.
   */
  vae?: Autoencoder | BytesFrom;
}

type OpenOptions = LatentFolderOptions & StableDiffusionFileOptions & { tokenizer2?: unknown };

const OPEN_OPTIONS = optionNames<OpenOptions>()({
  revision: true,
  token: true,
  signal: true,
  onProgress: true,
  variant: true,
  dtype: true,
  classes: true,
  vae: true,
  config: true,
  predictionType: true,
  ema: true,
  strict: true,
  tokenizer: true,
  tokenizer2: true,
});

/**
 * The options for folders and for single files are known for both, so that a program can open either.
 *
 * @throws PipelineOptionError for an option of neither
 */
export function requireOpenOptions(options: object): void {
  requireKnownOptions("opening a pipeline", options, OPEN_OPTIONS, PipelineOptionError);
}
