import * as tf from "@tensorflow/tfjs";
import { textEncoderBytes } from "../../models/activation-memory.js";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { AddOnFileOptions } from "../../adapters/add-on-file.js";
import { LoraSet } from "../../adapters/lora.js";
import { CLIPTextModel } from "../../models/clip/clip-text-model.js";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import { type BytesFrom, isSingleFile } from "../../weights/open-bytes.js";
import type { ModelFiles } from "../../platform/model-files.js";
import type { OptionTable } from "../options/option.js";
import { readOptions } from "../options/read-options.js";
import { AUTOENCODERS } from "../../models/autoencoder/autoencoder.js";
import type { Condition, GivenPrompts } from "./conditions.js";
import { LatentPipeline, type LatentPipelineParts } from "./latent-pipeline.js";
import { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import type { FolderKind, PartRequirements } from "../files/model-index.js";
import {
  AUTOENCODER,
  CONDITIONAL_DENOISER,
  instanceOf,
  liveParts,
  type PartKinds,
  SCHEDULER,
} from "../parts/live-parts.js";
import {
  type FurtherChannels,
  requireDenoiser,
  requireLatentChannels,
  requireSampler,
  requireTextWidth,
  requireVocabulary,
} from "../parts/part-checks.js";
import { requireOpenOptions } from "../files/open-options.js";
import { openPipelineFile, type StableDiffusionFileOptions, tokenizerForFile } from "../files/pipeline-file.js";
import { type FromPretrainedOptions, PipelineFolder, writePipelineFolder } from "../files/pipeline-folder.js";
import {
  type CheckedOptions,
  STABLE_DIFFUSION_OPTIONS,
  type StableDiffusionOptions,
} from "./stable-diffusion-options.js";
import type { PromptText } from "./prompt-plan.js";
import {
  encodePrompts,
  type EncodePromptsOptions,
  type PromptReader,
  repeatRows,
  type TextConditioning,
  tokensOf,
} from "./text-conditioning.js";

const NAME = "StableDiffusionPipeline";

/** The parts as `model_index.json` names them; unused ones are not read. */
export const STABLE_DIFFUSION_PARTS = {
  unet: { networks: { UNet2DConditionModel } },
  vae: { networks: AUTOENCODERS },
  text_encoder: { networks: { CLIPTextModel } },
  tokenizer: { className: "CLIPTokenizer" },
  scheduler: {},
  safety_checker: { optional: true },
  feature_extractor: { optional: true },
  image_encoder: { optional: true },
  inverse_scheduler: { optional: true },
} satisfies PartRequirements;

/** The entries of the index for parts that are always absent. */
export const STABLE_DIFFUSION_OTHERS = {
  feature_extractor: [null, null],
  image_encoder: [null, null],
  safety_checker: [null, null],
  requires_safety_checker: false,
};

/** Reads {@link STABLE_DIFFUSION_PARTS}. */
export async function readStableDiffusionParts(folder: PipelineFolder): Promise<StableDiffusionParts> {
  return {
    scheduler: await folder.scheduler(),
    tokenizer: await folder.tokenizer(),
    textEncoder: await folder.model<CLIPTextModel>("text_encoder"),
    vae: await folder.autoencoder("sd1"),
    unet: await folder.model<ConditionalDenoiser>("unet"),
  };
}

/** Opens a folder or a single file as a pipeline that has these parts. */
export async function openStableDiffusion<P>(
  from: BytesFrom | ModelFiles,
  options: FromPretrainedOptions & StableDiffusionFileOptions,
  kind: FolderKind,
  build: (parts: StableDiffusionParts) => P,
): Promise<P> {
  if (isSingleFile(from)) return openStableDiffusionFile(from, options, kind, build);
  return PipelineFolder.open(from, kind.parts, options, async (folder) =>
    build(await readStableDiffusionParts(folder)),
  );
}

/** Opens a single file as a pipeline that has these parts. */
export async function openStableDiffusionFile<P>(
  from: BytesFrom,
  options: StableDiffusionFileOptions,
  { className }: FolderKind,
  build: (parts: StableDiffusionParts) => P,
): Promise<P> {
  requireOpenOptions(options);
  const tokenizer = await tokenizerForFile(from, options.tokenizer, options.config);
  const known = { pipeline: className, families: ["sd1", "sd2"] } as const;
  return openPipelineFile(from, options, known, ({ unet, vae, textEncoders }, scheduler) => {
    const textEncoder = textEncoders.get("text_encoder") as CLIPTextModel;
    return build({ unet, vae, textEncoder, tokenizer, scheduler });
  });
}

/** The parts by the names of their subfolders. */
export function stableDiffusionFolders({ unet, vae, textEncoder, tokenizer, scheduler }: StableDiffusionParts) {
  return { unet, vae, text_encoder: textEncoder, tokenizer, scheduler };
}

/** The parts of Stable Diffusion. */
export interface StableDiffusionParts extends LatentPipelineParts {
  textEncoder: CLIPTextModel;
  tokenizer: CLIPTokenizer;
}

export const STABLE_DIFFUSION_KINDS: PartKinds<StableDiffusionParts> = {
  unet: CONDITIONAL_DENOISER,
  vae: AUTOENCODER,
  textEncoder: instanceOf(CLIPTextModel, "a CLIPTextModel"),
  tokenizer: instanceOf(CLIPTokenizer, "a CLIPTokenizer"),
  scheduler: SCHEDULER,
};

/**
 * Stable Diffusion (Rombach et al. 2022): a UNet, conditioned on CLIP's text encoder, removes the noise from latents,
 * step by step, and an autoencoder decodes them into a picture. It does text-to-image, image-to-image (with `image`)
 * and inpainting (with `image` and `mask`): see {@link StableDiffusionOptions}.
 */
export class StableDiffusionPipeline extends LatentPipeline<
  StableDiffusionParts,
  StableDiffusionOptions,
  CheckedOptions
> {
  readonly loras: LoraSet;
  /** How to recognise a folder of such a pipeline. */
  static readonly folder: FolderKind = { className: NAME, parts: STABLE_DIFFUSION_PARTS };
  /** The options of these pipelines, known before one is opened. */
  static readonly options: OptionTable = STABLE_DIFFUSION_OPTIONS;
  readonly options: OptionTable = STABLE_DIFFUSION_OPTIONS;

  /**
   * Sets the scheduler's `steps_offset` to 1 and `clip_sample` to false, as diffusers does, because the published
   * models need it. A scheduler that is assigned to `parts.scheduler` later is not changed.
   *
   * @param className as diffusers names the pipeline in folders, for pipelines derived from this one
   * @param further how many channels their denoisers read besides the latents
   * @throws PipelinePartsError if the parts do not fit
   */
  constructor(
    parts: StableDiffusionParts,
    protected readonly className = NAME,
    further?: FurtherChannels,
  ) {
    const own = { ...parts, scheduler: forLatents(parts.scheduler) };
    const requireFitting = (parts: StableDiffusionParts) => requireFittingParts(className, parts, further);
    super(liveParts(className, own, STABLE_DIFFUSION_KINDS, requireFitting));
    this.loras = new LoraSet(() => ({ unet: this.parts.unet, text_encoder: this.parts.textEncoder }));
  }

  /**
   * Opens one of these: a folder in the layout of diffusers (`model_index.json`, `unet/`, `vae/`, `text_encoder/`,
   * `tokenizer/`, `scheduler/`); a pipeline of the Hugging Face hub by its name, "owner/name", of which only these
   * folders are downloaded (see downloadFromHub); a single file (see {@link fromSingleFile}), which is a name that ends
   * in `.safetensors`, a Blob, or bytes.
   *
   * @throws PipelineFolderError if a part is missing or is of another class, PipelinePartsError if they do not fit;
   *   HubError for downloads
   */
  static async fromPretrained(
    from: BytesFrom | ModelFiles,
    options: FromPretrainedOptions & StableDiffusionFileOptions = {},
  ): Promise<StableDiffusionPipeline> {
    return openStableDiffusion(from, options, this.folder, (parts) => new StableDiffusionPipeline(parts));
  }

  /**
   * Opens a checkpoint of Stable Diffusion 1.x or 2.x that is a single file (see `loadSingleFile`). Such files have no
   * vocabulary: give a `tokenizer`, or a `config` folder that has a `tokenizer/`.
   *
   * @throws PipelineOptionError without a vocabulary, PipelinePartsError for a file of another family; the errors of
   *   loadSingleFile
   */
  static async fromSingleFile(
    from: BytesFrom,
    options: StableDiffusionFileOptions = {},
  ): Promise<StableDiffusionPipeline> {
    return openStableDiffusionFile(from, options, this.folder, (parts) => new StableDiffusionPipeline(parts));
  }

  /**
   * Teaches the text encoder a new word from a file, a folder or the hub, for use in prompts: see {@link
   * loadTextualInversion}.
   */
  async loadTextualInversion(from: BytesFrom, token?: string, where: AddOnFileOptions = {}): Promise<void> {
    const { tokenizer, textEncoder } = this.parts;
    const { loadTextualInversion } = await import("../../adapters/textual-inversion.js");
    this.parts.tokenizer = await loadTextualInversion(from, { tokenizer, textEncoder, token, ...where });
  }

  /**
   * Writes a folder that {@link fromPretrained} and Python's diffusers open; `save` can halve the precision and split
   * large files.
   */
  async savePretrained(folder: string, save: SaveOptions = {}): Promise<void> {
    await writePipelineFolder(folder, this.className, stableDiffusionFolders(this.parts), {
      others: STABLE_DIFFUSION_OTHERS,
      save,
    });
  }

  protected check(given: StableDiffusionOptions): CheckedOptions {
    const options = readOptions(given, STABLE_DIFFUSION_OPTIONS);
    return { ...options, ...this.fit(given, options) };
  }

  protected promptTexts({ prompts, negatives }: CheckedOptions) {
    const given = (from: string[] | tf.Tensor3D): GivenPrompts =>
      Array.isArray(from) ? from.map((prompt) => ({ prompt })) : { context: from, pooled: undefined };
    return { positive: given(prompts), negative: given(negatives) };
  }

  protected promptReaders(texts: readonly PromptText[]): PromptReader[] {
    const { tokenizer, textEncoder } = this.parts;
    return [{ prompts: texts.map(({ prompt }) => prompt), tokenizer, encoder: textEncoder }];
  }

  protected encodeTexts(texts: readonly PromptText[], options: EncodePromptsOptions): TextConditioning {
    const { tokenizer, textEncoder } = this.parts;
    const prompts = texts.map(({ prompt }) => prompt);
    return encodePrompts(prompts, { tokenizer, textEncoder }, options);
  }

  protected textSizes() {
    const { tokenizer, textEncoder } = this.parts;
    const { hidden_size, num_hidden_layers } = textEncoder.config;
    return {
      textWidth: hidden_size,
      textLayers: num_hidden_layers,
      textTokens: tokensOf(tokenizer, textEncoder),
      textBytes: textEncoderBytes(textEncoder),
    };
  }

  protected condition(checked: CheckedOptions, positive: TextConditioning, negative?: TextConditioning): Condition {
    const { numImages, shape } = checked;
    const inputs = { timestepCond: this.timestepCond(checked) };
    const context = repeatRows(positive.context, numImages);
    if (!negative) return { context, inputs };
    const copies = shape[0] / negative.context.shape[0];
    return { context: tf.concat([repeatRows(negative.context, copies), context]), inputs };
  }
}

function requireFittingParts(
  name: string,
  { unet, vae, textEncoder, tokenizer, scheduler }: StableDiffusionParts,
  further: FurtherChannels | undefined,
): void {
  requireSampler(name, "scheduler", scheduler);
  requireLatentChannels(name, unet, vae, further);
  requireVocabulary(name, ["tokenizer", "textEncoder"], tokenizer, textEncoder);
  requireTextWidth(name, unet, textEncoder.config.hidden_size);
  const { classLabels, addedText } = unet;
  requireDenoiser(
    name,
    classLabels === undefined,
    `needs class labels (${classLabels?.kind}), which this pipeline does not have.`,
  );
  requireDenoiser(
    name,
    addedText === undefined,
    "needs a sentence vector and sizes (addition_embed_type text_time); open it with StableDiffusionXLPipeline.",
  );
}

function forLatents(scheduler: Scheduler): Scheduler {
  if (!SCHEDULER.fits(scheduler)) return scheduler; // The parts' check refuses it later.
  const { steps_offset = 1, clip_sample = false } = scheduler.config as {
    steps_offset?: number;
    clip_sample?: boolean;
  };
  if (steps_offset === 1 && !clip_sample) return scheduler;
  const needed = {
    ...("steps_offset" in scheduler.config && { steps_offset: 1 }),
    ...("clip_sample" in scheduler.config && { clip_sample: false }),
  };
  return scheduler.withConfig?.(needed) ?? scheduler;
}
