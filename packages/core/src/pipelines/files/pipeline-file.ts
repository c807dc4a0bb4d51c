import { type Scheduler, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import type { SingleFileOptions, SingleFileParts } from "../../layouts/single-file.js";
import { configFolder } from "../../hub/model-source.js";
import type { CheckpointFamily } from "../../models/published-configs.js";
import { joinPath } from "../../platform/files.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import type { BytesFrom } from "../../weights/open-bytes.js";
import { openSafetensors } from "../../weights/safetensors.js";
import { PipelineOptionError, PipelinePartsError } from "../options/errors.js";

/** How to open a single file. */
export interface StableDiffusionFileOptions extends SingleFileOptions {
  /** The vocabulary, which single files do not hold. Needed unless `config` is a folder that has it. */
  tokenizer?: CLIPTokenizer;
}

/**
 * Reads the networks of a single file and gives them to `build`; frees them if that fails.
 *
 * @throws PipelinePartsError for a file of another family; the errors of `loadSingleFile`
 */
export async function openPipelineFile<P>(
  from: BytesFrom,
  options: StableDiffusionFileOptions,
  { pipeline, families }: { pipeline: string; families: readonly CheckpointFamily[] },
  build: (parts: SingleFileParts, scheduler: Scheduler) => P | Promise<P>,
): Promise<P> {
  const { loadSingleFile } = await import("../../layouts/single-file.js");
  const parts = await loadSingleFile(from, options);
  const { family, unet, vae, textEncoders, schedulerConfig } = parts;
  try {
    if (!families.includes(family)) {
      throw new PipelinePartsError(
        `${pipeline}: the file is a checkpoint of the family ${family}; expected ${families.join(" or ")}. openPipeline finds the pipeline.`,
      );
    }
    return await build(parts, schedulerFromConfig(schedulerConfig));
  } catch (error) {
    for (const network of [unet, vae, ...textEncoders.values()]) network.dispose();
    throw error;
  }
}

/**
 * The tokenizer that goes with a single file.
 *
 * @throws PipelineOptionError if it is neither given nor in the `config` folder; WeightsFormatError if the file is not
 *   a file of weights, which is checked first
 */
export async function tokenizerForFile(
  from: BytesFrom,
  given: CLIPTokenizer | undefined,
  config: string | undefined,
  part: "tokenizer" | "tokenizer_2" = "tokenizer",
): Promise<CLIPTokenizer> {
  if (given) return given;
  if (config !== undefined) return CLIPTokenizer.fromFolder(joinPath(await configFolder(config), part));
  await (await openSafetensors(from)).close();
  throw new PipelineOptionError(
    `${part === "tokenizer" ? part : "tokenizer2"}: missing; a single file has no vocabulary. Give CLIPTokenizer.fromFolder(a folder with ` +
      "vocab.json and merges.txt), or give as config a diffusers folder of the same kind of model.",
  );
}
