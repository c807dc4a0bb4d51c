import { type HubModelOptions, modelFolder } from "../hub/model-source.js";
import { checkpointFamily, UNET_PREFIX } from "../layouts/families.js";
import type { SingleFileOptions } from "../layouts/single-file.js";
import { CLIP_VOCABULARY, tokenizersFor } from "../layouts/vocabulary.js";
import type { CheckpointFamily } from "../models/published-configs.js";
import { type BytesFrom, isSingleFile } from "../weights/open-bytes.js";
import type { ModelFiles, ModelPlace } from "../platform/model-files.js";
import { openSafetensors } from "../weights/safetensors.js";
import { differences, MODEL_INDEX, readClasses } from "./files/model-index.js";
import { requireOpenOptions } from "./files/open-options.js";
import type { FromPretrainedOptions } from "./files/pipeline-folder.js";
import type { CommonOptions, TextOptions } from "./options/common-options.js";
import { PipelineFolderError, PipelineOptionError } from "./options/errors.js";
import type { Pipeline } from "./pipeline.js";
import { PIPELINE_CLASSES, type PipelineClass } from "./kinds.js";
import type { DDPMPipeline } from "./pixels/ddpm.js";
import { StableDiffusionDepth2ImgPipeline } from "./stable-diffusion/depth-to-image.js";
import { StableDiffusionInstructPix2PixPipeline } from "./stable-diffusion/instruct-pix2pix.js";
import type { DDPMOptions } from "./pixels/ddpm-options.js";
import { StableDiffusionPipeline } from "./stable-diffusion/stable-diffusion.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion/stable-diffusion-xl.js";
import type { UnCLIPImageVariationPipeline } from "./unclip/unclip-image-variation.js";
import type { UnCLIPImageVariationOptions } from "./unclip/unclip-options.js";

/** How to open a model of any kind. The options for single files are ignored for folders. */
export interface OpenPipelineOptions extends FromPretrainedOptions, SingleFileOptions {
  /**
   * For single files, which hold no vocabulary: a folder, or a model of the hub, with CLIP's `vocab.json` and
   * `merges.txt`. Default: that of `config`, else that of "openai/clip-vit-large-patch14", which is downloaded.
   */
  tokenizer?: string;
}

/** Options that some text pipelines refuse, so that TypeScript refuses them until the kind of pipeline is known. */
type NotForText = {
  [Name in Exclude<keyof UnCLIPImageVariationOptions | keyof DDPMOptions, keyof CommonOptions>]?: undefined;
};

/** A pipeline of any kind that draws from a text. It takes the options that all of them take, and needs a prompt. */
export interface TextPipeline extends Pipeline<TextOptions & NotForText & { prompt: string | string[] }> {
  readonly input: "text";
}

/**
 * The result of {@link openPipeline}: a pipeline that takes the options common to all pipelines. They include `prompt`
 * and `negativePrompt`, which a pipeline that reads no text refuses. `pipeline.input` says what it draws from. To use
 * the options of one kind only, check the class first, such as `pipeline instanceof StableDiffusionXLPipeline`.
 */
export type AnyPipeline = TextPipeline | UnCLIPImageVariationPipeline | DDPMPipeline;

/**
 * Opens a model with the right pipeline: a folder of diffusers, a single `.safetensors` file, or a model of the hub by
 * its name; or the addresses of a folder's files ({@link ModelFiles}), as the npm packages of models export them. The
 * kind is recognised by the names of the parts, or of the tensors in the file.
 *
 * @throws PipelineFolderError if the folder does not hold a pipeline; the errors of the pipelines' fromPretrained
 */
export async function openPipeline(
  from: BytesFrom | ModelFiles,
  options: OpenPipelineOptions = {},
): Promise<AnyPipeline> {
  requireOpenOptions(options);
  if (isSingleFile(from)) return openFile(from, options);
  const folder = from as ModelPlace;
  const { revision, token, signal, onProgress, variant, dtype, classes, vae } = options;
  const source = { revision, token, signal, onProgress };
  const Kind = await classOfFolder(folder, source);
  const open = (Kind: PipelineClass): Promise<AnyPipeline> => {
    if (vae === undefined || "vae" in Kind.folder.parts)
      return Kind.fromPretrained(folder, { ...source, variant, dtype, classes, vae });
    throw new PipelineOptionError(
      `vae: the folder is of a ${Kind.folder.className}, which has no autoencoder; leave it out.`,
    );
  };
  try {
    return await open(Kind);
  } catch (error) {
    // Another process may have saved another kind of pipeline there meanwhile.
    const Now = await classOfFolder(folder, source).catch(() => Kind);
    if (Now === Kind) throw error;
    return open(Now);
  }
}

/**
 * The class of the pipeline that {@link openPipeline} would open. Reads the folder's index or the file's header, and no
 * weights; of a model of the hub only the index is downloaded.
 *
 * @throws PipelineFolderError if the folder is not a pipeline's; WeightsFormatError for other files
 */
export async function pipelineClassOf(
  from: BytesFrom | ModelFiles,
  source: HubModelOptions = {},
): Promise<PipelineClass> {
  return isSingleFile(from) ? classOfKind(await kindOfFile(from)) : classOfFolder(from, source);
}

async function openFile(
  from: BytesFrom,
  { tokenizer: vocabulary, ...options }: OpenPipelineOptions,
): Promise<AnyPipeline> {
  const { family, inChannels } = await kindOfFile(from);
  const { config } = options;
  const source = vocabulary ?? (config === undefined ? CLIP_VOCABULARY : undefined);
  const tokenizers = await tokenizersFor(family, { tokenizer: source, config });
  const [tokenizer, tokenizer2] = [tokenizers.get("tokenizer"), tokenizers.get("tokenizer_2")];
  return classOfKind({ family, inChannels }).fromSingleFile(from, { ...options, tokenizer, tokenizer2 });
}

/** What the names and shapes in a single file say. */
interface FileKind {
  family: CheckpointFamily;
  inChannels: number | undefined;
}

async function kindOfFile(from: BytesFrom): Promise<FileKind> {
  const file = await openSafetensors(from);
  try {
    const inChannels = file.tensors.get(`${UNET_PREFIX}input_blocks.0.0.weight`)?.shape[1];
    return { family: checkpointFamily(file), inChannels };
  } finally {
    await file.close();
  }
}

function classOfKind({ family, inChannels }: FileKind) {
  if (family === "sdxl" || family === "sdxl-refiner") return StableDiffusionXLPipeline;
  if (inChannels === PIX2PIX_CHANNELS) return StableDiffusionInstructPix2PixPipeline;
  return inChannels === DEPTH_CHANNELS ? StableDiffusionDepth2ImgPipeline : StableDiffusionPipeline;
}

/** Latents of four channels, and a picture's latents or its depths. */
const PIX2PIX_CHANNELS = 8;
const DEPTH_CHANNELS = 5;

/** The first class whose parts are those of the folder, of several the one that the folder names. */
async function classOfFolder(from: ModelPlace, source: HubModelOptions): Promise<PipelineClass> {
  const folder = await modelFolder(from, { ...source, files: [MODEL_INDEX] });
  const { pipeline, parts } = await readClasses(folder);
  const named = PIPELINE_CLASSES.find(({ folder }) => folder.className === pipeline);
  const candidates = named ? [named, ...PIPELINE_CLASSES] : PIPELINE_CLASSES;
  const distance = (Class: PipelineClass) => Object.values(differences(parts, Class.folder.parts)).flat().length;
  const nearest = candidates.reduce((best, Class) => (distance(Class) < distance(best) ? Class : best));
  if (distance(nearest) === 0) return nearest;
  if (named) return named; // Opening it says what is wrong.
  const { missing, unused } = differences(parts, nearest.folder.parts);
  const lacks = missing.length > 0 ? [`has no ${missing.join(", ")}`] : [];
  const extra = unused.length > 0 ? [`has ${unused.map((part) => `${part} (${parts.get(part)})`).join(", ")}`] : [];
  throw new PipelineFolderError(
    `${folder}: its ${MODEL_INDEX} is of ${pipeline === undefined ? "a pipeline without a name" : `a ${pipeline}`}, ` +
      `which cannot be opened. Nearest is ${nearest.folder.className}, but the folder ${[...lacks, ...extra].join(", and ")}. ` +
      `openPipeline opens ${PIPELINE_CLASSES.map(({ folder }) => folder.className).join(", ")}.`,
  );
}
