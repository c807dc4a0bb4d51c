import * as tf from "@tensorflow/tfjs";
import { textEncoderBytes } from "../../models/activation-memory.js";
import type { AddOnFileOptions } from "../../adapters/add-on-file.js";
import type { WordReader } from "../../adapters/textual-inversion.js";
import { LoraSet } from "../../adapters/lora.js";
import { CLIPTextModel, CLIPTextModelWithProjection } from "../../models/clip/clip-text-model.js";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import { isComposed } from "../../text/composed-prompt.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import type { SaveOptions } from "../../weights/model-folder.js";
import { type BytesFrom, isSingleFile } from "../../weights/open-bytes.js";
import type { ModelFiles } from "../../platform/model-files.js";
import type { OptionTable } from "../options/option.js";
import { PipelineOptionError, PipelinePartsError } from "../options/errors.js";
import { readOptions } from "../options/read-options.js";
import { AUTOENCODERS } from "../../models/autoencoder/autoencoder.js";
import type { Condition, GivenPrompts } from "./conditions.js";
import { LatentPipeline, type LatentPipelineParts } from "./latent-pipeline.js";
import { requireNoTags } from "./prompt-loras.js";
import type { PromptText } from "./prompt-plan.js";
import { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import type { FolderKind, PartRequirements } from "../files/model-index.js";
import {
  AUTOENCODER,
  CONDITIONAL_DENOISER,
  instanceOf,
  liveParts,
  optional,
  type PartKinds,
  SCHEDULER,
  SWITCH,
} from "../parts/live-parts.js";
import {
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
  type CheckedXLOptions,
  checkXLOptions,
  promptPair,
  STABLE_DIFFUSION_XL_OPTIONS,
  type StableDiffusionXLOptions,
  timeIds,
} from "./stable-diffusion-xl-options.js";
import {
  encodePromptsXL,
  type EncodePromptsOptions,
  joinPrompts,
  type PromptReader,
  repeatPrompts,
  type TextConditioning,
  tokensOf,
} from "./text-conditioning.js";

const NAME = "StableDiffusionXLPipeline";

/** The parts as `model_index.json` names them; the refiner lacks the first text encoder. */
const PARTS = {
  unet: { networks: { UNet2DConditionModel } },
  vae: { networks: AUTOENCODERS },
  text_encoder: { networks: { CLIPTextModel }, optional: true },
  text_encoder_2: { networks: { CLIPTextModelWithProjection } },
  tokenizer: { className: "CLIPTokenizer", optional: true },
  tokenizer_2: { className: "CLIPTokenizer" },
  scheduler: {},
  feature_extractor: { optional: true },
  image_encoder: { optional: true },
} satisfies PartRequirements;

/** The parts of Stable Diffusion XL. */
export interface StableDiffusionXLParts extends LatentPipelineParts {
  /** Absent in the refiner, with its tokenizer. */
  textEncoder?: CLIPTextModel;
  tokenizer?: CLIPTokenizer;
  textEncoder2: CLIPTextModelWithProjection;
  tokenizer2: CLIPTokenizer;
  /** Without a negative prompt the UNet reads zeros, as in training, and not the states of "". Default true. */
  forceZerosForEmptyPrompt?: boolean;
}

const TOKENIZER = instanceOf(CLIPTokenizer, "a CLIPTokenizer");

const KINDS: PartKinds<StableDiffusionXLParts> = {
  unet: CONDITIONAL_DENOISER,
  vae: AUTOENCODER,
  textEncoder: optional(instanceOf(CLIPTextModel, "a CLIPTextModel")),
  tokenizer: optional(TOKENIZER),
  textEncoder2: instanceOf(CLIPTextModelWithProjection, "a CLIPTextModelWithProjection"),
  tokenizer2: TOKENIZER,
  scheduler: SCHEDULER,
  forceZerosForEmptyPrompt: optional(SWITCH),
};

/** How to open a single file of XL. */
export interface StableDiffusionXLFileOptions extends StableDiffusionFileOptions {
  /** The second encoder's tokenizer, which pads with "!". */
  tokenizer2?: CLIPTokenizer;
}

/**
 * Stable Diffusion XL (Podell et al. 2024), its refiner and XL-Turbo: the UNet reads the states of two text encoders, a
 * sentence vector of the second, and the sizes of {@link StableDiffusionXLOptions}. Like {@link
 * StableDiffusionPipeline} it does text-to-image, image-to-image and inpainting.
 *
 *     const latents = await base.generateLatents({ prompt, denoisingEnd: 0.8 });
 *     const { images } = await refiner.generate({ prompt, latents, denoisingStart: 0.8 });
 */
export class StableDiffusionXLPipeline extends LatentPipeline<
  StableDiffusionXLParts,
  StableDiffusionXLOptions,
  CheckedXLOptions
> {
  readonly loras: LoraSet;
  /** How to recognise a folder of such a pipeline. */
  static readonly folder: FolderKind = { className: NAME, parts: PARTS };
  /** The options of these pipelines, known before one is opened. */
  static readonly options: OptionTable = STABLE_DIFFUSION_XL_OPTIONS;
  readonly options: OptionTable = STABLE_DIFFUSION_XL_OPTIONS;

  /** @throws PipelinePartsError if the parts do not fit */
  constructor(parts: StableDiffusionXLParts) {
    super(liveParts(NAME, { ...parts }, KINDS, requireFittingParts));
    this.loras = new LoraSet(() => {
      const { unet, textEncoder, textEncoder2 } = this.parts;
      return { unet, text_encoder: textEncoder, text_encoder_2: textEncoder2 };
    });
  }

  /**
   * Opens a folder in the layout of diffusers; or a pipeline of the Hugging Face hub by its name, "owner/name"; or a
   * single file: a name that ends in `.safetensors`, a Blob, or bytes.
   *
   * @throws PipelineFolderError if a part is missing or is of another class, PipelinePartsError if they do not fit;
   *   HubError for downloads
   */
  static async fromPretrained(
    from: BytesFrom | ModelFiles,
    options: FromPretrainedOptions & StableDiffusionXLFileOptions = {},
  ): Promise<StableDiffusionXLPipeline> {
    if (isSingleFile(from)) return this.fromSingleFile(from, options);
    return PipelineFolder.open(
      from,
      PARTS,
      options,
      async (parts) =>
        new StableDiffusionXLPipeline({
          scheduler: await parts.scheduler(),
          tokenizer: parts.present.has("tokenizer") ? await parts.tokenizer() : undefined,
          tokenizer2: await parts.tokenizer("tokenizer_2"),
          textEncoder: await parts.optionalModel<CLIPTextModel>("text_encoder"),
          textEncoder2: await parts.model<CLIPTextModelWithProjection>("text_encoder_2"),
          vae: await parts.autoencoder("sdxl"),
          unet: await parts.model<ConditionalDenoiser>("unet"),
          forceZerosForEmptyPrompt: parts.settings.force_zeros_for_empty_prompt !== false,
        }),
    );
  }

  /**
   * Opens a checkpoint that is one file; give `tokenizer` and `tokenizer2`, or a `config` folder that has them.
   *
   * @throws PipelineOptionError without a vocabulary, PipelinePartsError for a file of another family; the errors of
   *   loadSingleFile
   */
  static async fromSingleFile(
    from: BytesFrom,
    options: StableDiffusionXLFileOptions = {},
  ): Promise<StableDiffusionXLPipeline> {
    requireOpenOptions(options);
    const tokenizer2 = await tokenizerForFile(from, options.tokenizer2, options.config, "tokenizer_2");
    const known = { pipeline: NAME, families: ["sdxl", "sdxl-refiner"] } as const;
    return openPipelineFile(from, options, known, async ({ family, unet, vae, textEncoders }, scheduler) => {
      const isBase = family === "sdxl";
      return new StableDiffusionXLPipeline({
        unet,
        vae,
        scheduler,
        tokenizer2,
        forceZerosForEmptyPrompt: isBase,
        tokenizer: isBase ? await tokenizerForFile(from, options.tokenizer, options.config) : undefined,
        textEncoder: textEncoders.get("text_encoder") as CLIPTextModel | undefined,
        textEncoder2: textEncoders.get("text_encoder_2") as CLIPTextModelWithProjection,
      });
    });
  }

  /**
   * Teaches both text encoders a new word from a file, a folder or the hub, for use in prompts. If one of them fails,
   * neither is changed.
   */
  async loadTextualInversion(from: BytesFrom, token?: string, where: AddOnFileOptions = {}): Promise<void> {
    const { tokenizer, textEncoder, tokenizer2, textEncoder2 } = this.parts;
    const { loadWords } = await import("../../adapters/textual-inversion.js");
    const readers: WordReader[] = [{ tokenizer: tokenizer2, textEncoder: textEncoder2, key: "clip_g" }];
    if (tokenizer && textEncoder) readers.push({ tokenizer, textEncoder, key: "clip_l" });
    const [second, first] = await loadWords(from, readers, { token, ...where });
    if (first) this.parts.tokenizer = first;
    this.parts.tokenizer2 = second!;
  }

  /**
   * Writes a folder that {@link fromPretrained} and Python's diffusers open; `save` can halve the precision and split
   * large files.
   */
  async savePretrained(folder: string, save: SaveOptions = {}): Promise<void> {
    const { unet, vae, textEncoder, textEncoder2, tokenizer, tokenizer2, scheduler } = this.parts;
    const encoders = { text_encoder: textEncoder, text_encoder_2: textEncoder2 };
    const parts = { unet, vae, ...encoders, tokenizer, tokenizer_2: tokenizer2, scheduler };
    const absent = [null, null];
    const { forceZerosForEmptyPrompt: force_zeros_for_empty_prompt = true } = this.parts;
    const others = {
      feature_extractor: absent,
      image_encoder: absent,
      force_zeros_for_empty_prompt,
      ...(!textEncoder && { text_encoder: absent, tokenizer: absent }),
      ...(this.isRefiner && { requires_aesthetics_score: true }),
    };
    const name = this.isRefiner ? "StableDiffusionXLImg2ImgPipeline" : NAME;
    await writePipelineFolder(folder, name, parts, { others, save });
  }

  /** Whether the denoiser is the refiner's, which reads an aesthetic score in place of the target size. */
  get isRefiner(): boolean {
    return sizesTold(this.parts) === REFINER_SIZES;
  }

  protected check(given: StableDiffusionXLOptions): CheckedXLOptions {
    const options = readOptions(given, STABLE_DIFFUSION_XL_OPTIONS);
    const checked = { ...options, ...this.fit(given, options) };
    checkXLOptions(checked, this.parts.textEncoder2.config.projection_dim);
    const { promptWeighting, prompt2 = [], negativePrompt2 = [] } = checked;
    if (promptWeighting) {
      requireNoTags("prompt2", [prompt2].flat());
      requireOneSplit(checked);
      requireNoTags("negativePrompt2", [negativePrompt2].flat());
    }
    return checked;
  }

  protected promptTexts(checked: CheckedXLOptions) {
    const { prompts, prompt2, pooledPromptEmbeds, negatives, negativePrompt2, negativePooledPromptEmbeds } = checked;
    const { forceZerosForEmptyPrompt = true } = this.parts;
    const { negativePromptEmbeds, negativePrompt } = checked;
    const isSaid = [negativePromptEmbeds, negativePrompt, negativePrompt2].some((given) => given !== undefined);
    return {
      positive: givenPrompts(prompts, prompt2, pooledPromptEmbeds),
      negative:
        isSaid || !forceZerosForEmptyPrompt
          ? givenPrompts(negatives, negativePrompt2, negativePooledPromptEmbeds)
          : undefined,
    };
  }

  protected promptReaders(texts: readonly PromptText[]): PromptReader[] {
    const { tokenizer, textEncoder, tokenizer2, textEncoder2 } = this.parts;
    const first = texts.map(({ prompt }) => prompt);
    const second = texts.map(({ prompt, prompt2 = prompt }) => prompt2);
    return [
      ...(tokenizer && textEncoder ? [{ prompts: first, tokenizer, encoder: textEncoder }] : []),
      { prompts: second, tokenizer: tokenizer2, encoder: textEncoder2 },
    ];
  }

  protected encodeTexts(texts: readonly PromptText[], options: EncodePromptsOptions): TextConditioning {
    return encodePromptsXL(this.promptReaders(texts), options);
  }

  protected textSizes() {
    const { textEncoder, tokenizer2, textEncoder2 } = this.parts;
    const encoders = [textEncoder, textEncoder2].filter((encoder) => encoder !== undefined);
    return {
      textTokens: tokensOf(tokenizer2, textEncoder2),
      textWidth: encoders.reduce((sum, { config }) => sum + config.hidden_size, 0),
      textLayers: Math.min(...encoders.map(({ config }) => config.num_hidden_layers)),
      textBytes: Math.max(...encoders.map(textEncoderBytes)),
    };
  }

  protected condition(checked: CheckedXLOptions, positive: TextConditioning, negative?: TextConditioning): Condition {
    const [batch, height, width] = checked.shape;
    const isGuided = this.isGuided(checked);
    const rows = repeatPrompts(positive, checked.numImages);
    const factor = this.factor;
    const ids = timeIds(checked, [height * factor, width * factor], this.isRefiner);
    const repeated = (numbers: number[]) => tf.tensor2d([numbers]).tile<tf.Tensor2D>([batch, 1]);
    const sizes = repeated(ids.positive);
    const { context, pooled } = isGuided ? joinPrompts(negativeRows(rows, negative), rows) : rows;
    return {
      context,
      inputs: {
        textEmbeds: pooled,
        timeIds: isGuided ? tf.concat([repeated(ids.negative), sizes]) : sizes,
        timestepCond: this.timestepCond(checked),
      },
    };
  }
}

/** @throws PipelineOptionError if AND joins prompts and the second text encoder has prompts of its own */
function requireOneSplit({ prompts, prompt2 }: CheckedXLOptions): void {
  if (prompt2 === undefined) return;
  const all = [Array.isArray(prompts) ? prompts : [], prompt2].flat();
  if (!all.some(isComposed)) return;
  throw new PipelineOptionError(
    'prompt2: with AND, or a weight at the end of a prompt, both text encoders read the same prompts. Leave prompt2 out; write "and" for the word.',
  );
}

/** The negative prompts in as many rows as the prompts; without any, zeros (`forceZerosForEmptyPrompt`). */
function negativeRows(rows: TextConditioning, negative: TextConditioning | undefined): TextConditioning {
  if (!negative) return { context: tf.zerosLike(rows.context), pooled: tf.zerosLike(rows.pooled!) };
  return repeatPrompts(negative, rows.context.shape[0] / negative.context.shape[0]);
}

/** Prompts for both text encoders, or their states. */
function givenPrompts(
  given: string[] | tf.Tensor3D,
  other: string | string[] | undefined,
  pooled: tf.Tensor2D | undefined,
): GivenPrompts {
  if (!Array.isArray(given)) return { context: given, pooled };
  const { first, second } = promptPair(given, other);
  return first.map((prompt, i) => (other === undefined ? { prompt } : { prompt, prompt2: second[i]! }));
}

/** The number of time ids that the denoiser reads besides the sentence vector. */
const BASE_SIZES = 6;
const REFINER_SIZES = 5;

function sizesTold({ unet, textEncoder2 }: Pick<StableDiffusionXLParts, "unet" | "textEncoder2">): number | undefined {
  const { addedText } = unet;
  return addedText && (addedText.width - textEncoder2.config.projection_dim) / addedText.timeIdWidth;
}

function requireFittingParts(parts: StableDiffusionXLParts): void {
  const { unet, vae, scheduler, textEncoder, tokenizer, textEncoder2, tokenizer2 } = parts;
  requireSampler(NAME, "scheduler", scheduler);
  requireLatentChannels(NAME, unet, vae);
  if ((textEncoder === undefined) !== (tokenizer === undefined)) {
    throw new PipelinePartsError(
      `${NAME}: only one of textEncoder and tokenizer is given; give both, or neither for the refiner.`,
    );
  }
  requireVocabulary(NAME, ["tokenizer2", "textEncoder2"], tokenizer2, textEncoder2);
  if (textEncoder && tokenizer) {
    requireVocabulary(NAME, ["tokenizer", "textEncoder"], tokenizer, textEncoder);
    const [first, second] = [tokensOf(tokenizer, textEncoder), tokensOf(tokenizer2, textEncoder2)];
    if (first !== second) {
      throw new PipelinePartsError(
        `${NAME}: tokenizer and textEncoder read ${first} tokens, tokenizer2 and textEncoder2 ${second}; their states stand ` +
          "side by side and must be of as many tokens. Use the parts of one model.",
      );
    }
  }
  requireTextWidth(NAME, unet, textEncoder2.config.hidden_size + (textEncoder?.config.hidden_size ?? 0));
  const { classLabels, addedText } = unet;
  requireDenoiser(
    NAME,
    classLabels === undefined,
    `needs class labels (${classLabels?.kind}), which XL does not have.`,
  );
  requireDenoiser(
    NAME,
    addedText !== undefined,
    "takes no sentence vector and sizes (addition_embed_type text_time); open it with StableDiffusionPipeline.",
  );
  const told = sizesTold({ unet, textEncoder2 });
  requireDenoiser(
    NAME,
    told === BASE_SIZES || told === REFINER_SIZES,
    `takes sentence vectors and sizes of ${addedText.width} numbers in total; the second text encoder makes ` +
      `${textEncoder2.config.projection_dim}, and the ${BASE_SIZES} sizes (${REFINER_SIZES} for the refiner) have ` +
      `${addedText.timeIdWidth} each.`,
  );
}
