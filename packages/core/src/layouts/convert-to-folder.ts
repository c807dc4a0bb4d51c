import { libraryAndClass } from "../models/library-and-class.js";
import type { Model } from "../models/model.js";
import type { CheckpointFamily } from "../models/published-configs.js";
import { joinPath } from "../platform/files.js";
import { optionNames, requireKnownOptions } from "../platform/known-options.js";
import { replaceFolder } from "../platform/replace-folder.js";
import { writeText } from "../platform/write-files.js";
import { tensorsToCopy } from "../weights/copy-tensors.js";
import type { SaveOptions } from "../weights/model-folder.js";
import { writeModelFolder } from "../weights/save-model-folder.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { parametersToTensors } from "../weights/parameters.js";
import { openSafetensors } from "../weights/safetensors.js";
import type { TensorToWrite } from "../weights/write-safetensors.js";
import { singleFileParts, type SingleFileOptions, type StoredPart } from "./single-file.js";
import { tokenizersFor } from "./vocabulary.js";

/** How to write the folder, and what the single file does not contain. */
export interface ToFolderOptions extends SingleFileOptions, Omit<SaveOptions, "dtype"> {
  /** Stops before the next tensor; no incomplete file remains. */
  signal?: AbortSignal;
  /**
   * A folder, or a model of the hub, with CLIP's `vocab.json` and `merges.txt`. Default: the `tokenizer` folders of
   * `config`.
   */
  tokenizer?: string;
}

const OPTIONS = optionNames<ToFolderOptions>()({
  config: true,
  predictionType: true,
  ema: true,
  dtype: true,
  vae: true,
  strict: true,
  variant: true,
  maxShardBytes: true,
  signal: true,
  tokenizer: true,
});

/** The pipeline class of diffusers for each family, and the other entries of its index. */
const PIPELINES: Readonly<Record<CheckpointFamily, Record<string, unknown> & { _class_name: string }>> = {
  sd1: { _class_name: "StableDiffusionPipeline", requires_safety_checker: false },
  sd2: { _class_name: "StableDiffusionPipeline", requires_safety_checker: false },
  sdxl: { _class_name: "StableDiffusionXLPipeline", force_zeros_for_empty_prompt: true },
  "sdxl-refiner": { _class_name: "StableDiffusionXLImg2ImgPipeline", requires_aesthetics_score: true },
};
/** The pipelines of 1 and 2 whose UNets read more than the four channels of latents. */
const BY_CHANNELS: Readonly<Record<number, string>> = {
  5: "StableDiffusionDepth2ImgPipeline",
  8: "StableDiffusionInstructPix2PixPipeline",
  9: "StableDiffusionInpaintPipeline",
};

/** Parts that diffusers expects and that may be absent. */
const ABSENT: Readonly<Record<CheckpointFamily, string[]>> = {
  sd1: ["safety_checker", "feature_extractor", "image_encoder"],
  sd2: ["safety_checker", "feature_extractor", "image_encoder"],
  sdxl: ["feature_extractor", "image_encoder"],
  "sdxl-refiner": ["text_encoder", "tokenizer"],
};

/**
 * Writes a single file (see loadSingleFile) as a diffusers folder. Copies tensor by tensor, so that only one is in
 * memory. Everything is checked before anything is written, and at every moment the folder holds what was there or the
 * whole copy.
 *
 * @throws WeightsReadError without a vocabulary, which single files lack; RangeError for an unknown option; the errors
 *   of loadSingleFile
 */
export async function singleFileToFolder(
  from: BytesFrom,
  folder: string,
  options: ToFolderOptions = {},
): Promise<void> {
  requireKnownOptions("singleFileToFolder", options, OPTIONS);
  const { dtype, signal, variant, maxShardBytes } = options;
  const file = await openSafetensors(from);
  let opened: Model | undefined;
  try {
    const { family, unet, vae, textEncoders, schedulerConfig } = await singleFileParts(file, options);
    if (!vae.stored && vae.model !== options.vae) opened = vae.model;
    const networks = Object.entries<StoredPart>({ unet, vae, ...Object.fromEntries(textEncoders) });
    const how = { dtype, signal };
    const tensors: Map<string, TensorToWrite>[] = [];
    for (const [, { model, stored }] of networks) {
      const parameters = model.namedParameters();
      tensors.push(stored ? tensorsToCopy([stored], parameters, how) : await parametersToTensors(parameters, dtype));
    }
    const tokenizers = await tokenizersFor(family, options);
    const isXL = family === "sdxl" || family === "sdxl-refiner";
    const index: Record<string, unknown> = { ...PIPELINES[family] };
    index._class_name = (isXL ? undefined : BY_CHANNELS[unet.model.config.in_channels]) ?? index._class_name;
    for (const part of ABSENT[family]) index[part] = [null, null];
    index.scheduler = ["diffusers", schedulerConfig._class_name];
    await replaceFolder(folder, async (to) => {
      for (const [i, [part, { model }]] of networks.entries()) {
        const { library, className } = libraryAndClass(model.config);
        await writeModelFolder(joinPath(to, part), library, model.config, tensors[i]!, { variant, maxShardBytes });
        index[part] = [library, className];
      }
      for (const [part, tokenizer] of tokenizers) {
        await tokenizer.save(joinPath(to, part));
        index[part] = ["transformers", "CLIPTokenizer"];
      }
      await writeJson(joinPath(to, "scheduler", "scheduler_config.json"), schedulerConfig);
      await writeJson(joinPath(to, "model_index.json"), index);
    });
  } finally {
    opened?.dispose();
    await file.close();
  }
}

async function writeJson(path: string, value: object): Promise<void> {
  const sorted = Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeText(path, `${JSON.stringify(sorted, null, 2)}\n`);
}
