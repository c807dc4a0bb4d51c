import { optionNames, requireKnownOptions } from "../../platform/known-options.js";
import { PipelineOptionError } from "../options/errors.js";
import type { StableDiffusionFileOptions } from "./pipeline-file.js";
import type { LatentFolderOptions } from "./pipeline-folder.js";

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
