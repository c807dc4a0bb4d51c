import type * as tf from "@tensorflow/tfjs";
import type { PlanRequest } from "@tfjs-diffusion/schedulers";
import {
  COMMON_OPTIONS,
  GUIDANCE_RESCALE,
  requestedSteps,
  TEXT_OPTIONS,
  type TextOptions,
} from "../options/common-options.js";
import { PipelineOptionError } from "../options/errors.js";
import {
  between,
  boolean,
  callback,
  object,
  objects,
  type OptionsOf,
  type ReadOptions,
  tensor,
  whole,
  withDefaults,
} from "../options/option.js";
import {
  namedInputs,
  negativesFor,
  requireCount,
  requireBetween,
  requireOption,
  requireWhole,
  texts,
} from "../options/option-checks.js";
import { isAutoencoder } from "../../models/autoencoder/autoencoder.js";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import { joinPath } from "../../platform/files.js";
import { composedParts, isComposed } from "../../text/composed-prompt.js";
import type { LoraTag } from "../../text/lora-tags.js";
import { mayGuide } from "../drawing/step-guidance.js";
import type { PipelineStep } from "../pipeline-step.js";
import { type AdapterInput, checkAdapter } from "./adapter.js";
import { fitGuidance, GUIDANCE_OPTIONS, requireKnown } from "./guidance-options.js";
import { checkControl, type Control } from "./control.js";
import { type BesideDrawing, checkIPAdapter, type IPAdapterInput } from "./ip-adapter.js";
import { type LoraResolver, requireNoTags, takeLoras } from "./prompt-loras.js";

/** Finds LoRAs by their names in a folder; as JSON, in a picture's settings, it is the folder's name. */
function loraFolder(folder: string): LoraResolver {
  const find = (name: string) => joinPath(folder, `${name}.safetensors`);
  return Object.assign(find, { toJSON: () => folder });
}

/**
 * The options of Stable Diffusion besides {@link TextOptions}. All tensors are borrowed.
 *
 * With `image` it is image-to-image: noise is added to the picture, as much as `strength` says, and removed again. With
 * `image` and `mask` it is inpainting.
 */
const OWN_OPTIONS = {
  /**
   * Read the syntax of AUTOMATIC1111's web UI in prompts: weights such as `(word:1.3)`, BREAK, AND, prompt editing such
   * as `[a:b:0.5]` and `[a|b]`, and `<lora:name:0.8>`. Default false: brackets are text.
   */
  promptWeighting: boolean({
    default: false,
    flag: { usage: "--prompt-weights", help: "read weights such as (word:1.3), [a:b:0.5], BREAK, AND and LoRA tags" },
  }),
  /**
   * Most chunks of 75 tokens that a prompt is read in; what is longer is cut off. Default 1; with `promptWeighting` as
   * many as the prompts need.
   */
  maxEmbeddingsMultiples: whole(1, {
    flag: {
      usage: "--max-embeddings-multiples N",
      help: "read long prompts in up to N chunks of 75 tokens",
      most: 100,
    },
  }),
  /**
   * Where a chunk is full, up to so many tokens behind its last comma go to the next chunk. Default 0;
   * AUTOMATIC1111's default is 20.
   */
  commaPaddingBacktrack: whole(0, {
    default: 0,
    flag: {
      usage: "--comma-padding-backtrack N",
      help: "where a chunk is full, move up to N tokens behind its last comma to the next",
      most: 75,
    },
  }),
  /**
   * With `promptWeighting`: finds the LoRA that `<lora:name:0.8>` in a prompt names. It is loaded for this drawing.
   * LoRAs that are loaded under their names need none.
   */
  loraResolver: callback<LoraResolver>({
    flag: {
      usage: "--lora-folder FOLDER",
      help: "with --prompt-weights: holds the NAME.safetensors of <lora:NAME:0.8> in a prompt",
      read: loraFolder,
    },
  }),
  /** Text states in place of prompts, as returned by `encodePrompts`, [prompts, tokens, C]. */
  promptEmbeds: tensor<tf.Tensor3D>(),
  /** Text states in place of negative prompts, [1 or prompts, tokens, C]. */
  negativePromptEmbeds: tensor<tf.Tensor3D>(),
  /**
   * Share of fresh noise, 0 to 1, for samplers with this setting (DDIM, TCD). Default 0, as in diffusers, also for TCD.
   */
  eta: between(0, 1, { default: 0 }),
  /** Number of last layers of the text encoder to skip, default 0; many community models were trained with 1. */
  clipSkip: whole(0, {
    default: 0,
    flag: { usage: "--clip-skip N", help: "how many layers to skip at the end of the text encoder", most: 100 },
  }),
  /** Pictures in [0, 1] to start from, [H, W, 3] or [B, H, W, 3] with B 1 or prompts x numImages. */
  image: tensor<tf.Tensor3D | tf.Tensor4D>(),
  /**
   * The region to repaint (values of 0.5 and more) and to keep: [H, W], [H, W, 1] or [B, H, W, 1], of the picture's
   * size.
   */
  mask: tensor<tf.Tensor2D | tf.Tensor3D | tf.Tensor4D>(),
  /**
   * 0 to 1: how much of the picture is redrawn; this share of the steps is made. Default 0.8, or 1 with a mask (no old
   * content remains under it).
   */
  strength: between(0, 1, {
    flag: { usage: "--strength N", help: "0 to 1: how much of the picture to redraw (default 0.8; with a mask 1)" },
  }),
  /**
   * 0 to 1: stop after this share of the way from noise to picture, and leave the rest to another pipeline. Default 1.
   * With a sampler that calls the network twice a step (Heun, KDPM2), choose a share at the border of two steps.
   * Otherwise the first half of a step is made and the other pipeline begins it again, as in diffusers.
   */
  denoisingEnd: between(0, 1),
  /**
   * 0 to 1: continue from the `latents` of another pipeline whose `denoisingEnd` had this value, with the same sampler
   * and number of steps. After inpainting, give the `mask`, too. The latents already contain the `image`, which is
   * needed again only by networks of 9 channels and for `pasteBack`.
   */
  denoisingStart: between(0, 1),
  /**
   * With a mask: copy the given picture's pixels back outside it, bit for bit. Otherwise all pixels come from the
   * autoencoder. For a network of 9 channels, the latents outside the mask are also set to the picture's after each
   * step, so that the painted region fits (diffusers does not do this). Default false.
   */
  pasteBack: boolean({ default: false }),
  /**
   * Only with `pasteBack`: the width in pixels of the band inside the mask in which the new picture fades in. Default
   * 0.
   */
  maskBlur: whole(0, {
    default: 0,
    flag: { usage: "--mask-blur N", help: "width in pixels of the fade between new and old", most: 16_384 },
  }),
  /**
   * With a mask: draw only the part of the picture around it, with this many pixels more on each side, enlarged to
   * `width` and `height` (default: the network's size), and put it back into the picture, which may have any size. It
   * is `padding_mask_crop` of diffusers and "only masked" of AUTOMATIC1111.
   */
  paddingMaskCrop: whole(0, {
    flag: {
      usage: "--padding-mask-crop N",
      help: "draw only what the mask covers and N pixels around it, enlarged, and put it back",
      most: 16_384,
    },
  }),
  /** A ControlNet and its picture, or several; their residuals are added up. */
  control: objects<Control>("a ControlNet with its picture, { model, image }"),
  /** A T2I-Adapter and its picture; its features are computed once and added in each step. */
  adapter: object<AdapterInput>("a T2IAdapter with its picture, { model, image }"),
  /** Pictures as prompts: an IP-Adapter with its picture, or several; their effects are added up. */
  ipAdapter: objects<IPAdapterInput>("an IPAdapter with its picture, { model, imageEncoder, image }"),
  /** What `step.preview()` decodes with, such as TAESD, in place of a linear map from latents to colours; borrowed. */
  previewDecoder: { expected: "an AutoencoderTiny or an AutoencoderKL", fits: isAutoencoder },
};

/** All options of Stable Diffusion 1 and 2. */
export const STABLE_DIFFUSION_OPTIONS = withDefaults(
  { ...COMMON_OPTIONS, ...TEXT_OPTIONS, ...GUIDANCE_RESCALE, ...OWN_OPTIONS, ...GUIDANCE_OPTIONS },
  { numInferenceSteps: 50, guidanceScale: 7.5 },
);

/** One step of Stable Diffusion: `latents`, `output` and `x0` are [B, h, w, C]. */
export type StableDiffusionStep = PipelineStep;

/**
 * What Stable Diffusion draws, and how. `numInferenceSteps` is 50 and `guidanceScale` 7.5 by default. `width` and
 * `height` are multiples of the autoencoder's factor (8 for the published models), by default those of the `image` or
 * the `latents`. With `denoisingStart`, `latents` are the result of another pipeline.
 */
export interface StableDiffusionOptions
  extends
    TextOptions<StableDiffusionStep>,
    OptionsOf<typeof GUIDANCE_RESCALE>,
    OptionsOf<typeof OWN_OPTIONS>,
    OptionsOf<typeof GUIDANCE_OPTIONS> {}

/** The prompts and the negative prompts. */
export const PROMPT_OPTIONS = {
  ...TEXT_OPTIONS,
  promptEmbeds: OWN_OPTIONS.promptEmbeds,
  negativePromptEmbeds: OWN_OPTIONS.negativePromptEmbeds,
};
/** The prompts and the negative prompts, as text or as text states. */
export type PromptOptions = Pick<StableDiffusionOptions, keyof typeof PROMPT_OPTIONS>;

/** {@link StableDiffusionOptions} with their defaults, each checked on its own. */
type Read = ReadOptions<typeof STABLE_DIFFUSION_OPTIONS>;

/** The values that follow from the options and a pipeline's networks. */
export interface FittedOptions {
  /** Prompts without their LoRA tags, or their states. */
  prompts: string[] | tf.Tensor3D;
  /** The LoRAs that the prompts name. */
  loraTags: LoraTag[];
  /** Whether AND joins prompts. */
  isComposed: boolean;
  negatives: string[] | tf.Tensor3D;
  steps: PlanRequest;
  strength: number;
  /** Shape of the latents, [prompts x numImages, h, w, C]. */
  shape: [number, number, number, number];
  /** The self-attention layers that perturbed-attention guidance changes. */
  perturbedLayers: string[];
}

/** {@link StableDiffusionOptions}, checked, with their defaults. */
export type CheckedOptions = Read & FittedOptions;

/** Sizes that a pipeline's networks fix. */
export interface NetworkSizes {
  /** Height and width in pixels that the network was trained on. */
  size: [number, number];
  /** Pixels per latent, along each side. */
  factor: number;
  latentChannels: number;
  /** Width of the text states. */
  textWidth: number;
  /** Number of text states per prompt. */
  textTokens: number;
  textLayers: number;
  /** Whether the network also reads a mask and the masked picture (9 channels), and cannot draw without a mask. */
  needsMask: boolean;
  /** The network that a ControlNet must fit. */
  denoiser: ConditionalDenoiser;
}

/**
 * Checks the options against each other and against the networks.
 *
 * @param given the options before they were read
 * @throws PipelineOptionError for an option that does not fit, saying what would
 */
export function fitOptions(given: StableDiffusionOptions, options: Read, sizes: NetworkSizes): FittedOptions {
  const { image, mask, numImages, strength = mask ? 1 : 0.8 } = options;
  requireClipSkip(options.clipSkip, sizes);
  const steps = requestedSteps(given, options.numInferenceSteps);
  requireHandOver(options);
  requireReading(options);
  const asGiven = checkedPrompts(options, sizes);
  const isRead = options.promptWeighting && Array.isArray(asGiven);
  const { prompts, loras } = isRead ? takeLoras(asGiven) : { prompts: asGiven, loras: [] };
  const hasAnd = isRead && (prompts as string[]).some(isComposed);
  if (hasAnd) requireFewParts(prompts as string[]);
  if (hasAnd) requireComposable(options, sizes);
  const count = Array.isArray(prompts) ? prompts.length : prompts.shape[0];
  requireCount(count, numImages);
  // In chunks, the number of tokens is that of the longest prompt: it is checked when the prompts are read.
  const textTokens = isChunked(options) ? undefined : sizes.textTokens;
  const negatives = checkedNegatives(options, count, { ...sizes, textTokens });
  if (options.promptWeighting && Array.isArray(negatives)) requireNoTags("negativePrompt", negatives);
  requireWhatImagesNeed(options, sizes);
  const [height, width] = checkedSize(options, sizes);
  const { factor, latentChannels } = sizes;
  const shape: FittedOptions["shape"] = [count * numImages, height / factor, width / factor, latentChannels];
  // With paddingMaskCrop, the picture has a size of its own.
  const [rows, columns] = (
    image && options.paddingMaskCrop !== undefined ? image.shape.slice(-3) : [height, width]
  ) as [number, number];
  requireBlur(options, Math.min(rows, columns));
  requireLatents(options, shape, [height, width]);
  const { denoiser } = sizes;
  requirePreviewDecoder(options, sizes);
  const perturbedLayers = fitGuidance(options, denoiser);
  const isGuided = denoiser.guidanceWidth === undefined && (mayGuide(options) || hasAnd);
  checkNetworksBeside(options, { denoiser, latents: [shape[1], shape[2]], size: [height, width], isGuided });
  if (image) requirePictureShape("image", image, [rows, columns, 3], shape[0]);
  if (mask) requirePictureShape("mask", mask, [rows, columns, 1], shape[0]);
  return { strength, steps, prompts, loraTags: loras, isComposed: hasAnd, negatives, shape, perturbedLayers };
}

/** The most prompts that AND joins. Each of them takes a call of the denoiser in every step. */
const MOST_PARTS = 100;

function requireFewParts(prompts: readonly string[]): void {
  const most = Math.max(...prompts.map((prompt) => composedParts(prompt).length));
  if (most > MOST_PARTS)
    throw new PipelineOptionError(`prompt: AND joins ${most} prompts; expected at most ${MOST_PARTS}. Join fewer.`);
}

/** Checks ControlNets and adapters, with their pictures, against the denoiser. */
function checkNetworksBeside(options: Read, drawing: BesideDrawing): void {
  const { denoiser, latents, size } = drawing;
  for (const [name, control] of namedInputs("control", options.control))
    checkControl(name, control, { denoiser, height: latents[0], width: latents[1] });
  if (options.adapter) {
    requireKnown("adapter", denoiser.isAdjustable === true);
    checkAdapter(options.adapter, size);
  }
  for (const [name, input] of namedInputs("ipAdapter", options.ipAdapter)) {
    requireKnown(name, denoiser.contextAttentions !== undefined);
    checkIPAdapter(name, input, drawing);
  }
}

/** Whether prompts may take more than one chunk. */
function isChunked({ promptWeighting, maxEmbeddingsMultiples }: Read): boolean {
  return (maxEmbeddingsMultiples ?? (promptWeighting ? Infinity : 1)) > 1;
}

/** Refuses what AND in a prompt cannot be combined with. */
function requireComposable({ pagScale }: Read, { denoiser }: NetworkSizes): void {
  const obstacle =
    denoiser.guidanceWidth !== undefined
      ? "this network was distilled with guidance and reads no negative prompt"
      : pagScale > 0 && "pagScale is for a single prompt";
  if (!obstacle) return;
  throw new PipelineOptionError(
    `prompt: has AND, or a weight at its end, but ${obstacle}. Leave one of them out; write "and" for the word.`,
  );
}

/** Options that would be without effect beside the others. */
function requireReading(options: Read): void {
  const { commaPaddingBacktrack, loraResolver, promptWeighting } = options;
  requireOption(
    commaPaddingBacktrack === 0 || isChunked(options),
    "commaPaddingBacktrack",
    commaPaddingBacktrack,
    "promptWeighting: true or maxEmbeddingsMultiples with it, as a single chunk has no border",
  );
  requireOption(
    loraResolver === undefined || promptWeighting,
    "loraResolver",
    "a function",
    "promptWeighting: true with it, as LoRA tags are read only then",
  );
}

/** Refuses an autoencoder for previews that decodes other latents. */
function requirePreviewDecoder({ previewDecoder }: Read, { latentChannels }: NetworkSizes): void {
  const channels = previewDecoder?.config.latent_channels ?? latentChannels;
  const decoder = `an autoencoder of latents of ${channels} channels`;
  requireOption(channels === latentChannels, "previewDecoder", decoder, `one of ${latentChannels} channels`);
}

/** Checks the image, the mask and their options against each other. */
function requireWhatImagesNeed(options: Read, { needsMask }: NetworkSizes): void {
  const { image, mask, strength, denoisingStart, pasteBack, paddingMaskCrop, control, adapter } = options;
  if (mask && !image && denoisingStart === undefined)
    throw new PipelineOptionError("mask: given without an image; give the picture to change as image.");
  if (needsMask && !(image && mask)) {
    throw new PipelineOptionError(
      "image, mask: missing; this network was trained to fill masked regions and needs both. " +
        "To draw a whole picture give a mask of ones.",
    );
  }
  requireOption(
    strength === undefined || image !== undefined || denoisingStart !== undefined,
    "strength",
    strength,
    "an image with it; give the picture to change as image",
  );
  if (pasteBack && !(image && mask)) {
    const missing = mask ? "the image" : "a mask";
    throw new PipelineOptionError(`pasteBack: given without ${missing}; there is nothing to keep.`);
  }
  if (paddingMaskCrop === undefined) return;
  requireOption(
    image !== undefined && mask !== undefined,
    "paddingMaskCrop",
    paddingMaskCrop,
    "an image and a mask with it",
  );
  const beside = control ? "control" : adapter ? "adapter" : undefined;
  if (!beside) return;
  throw new PipelineOptionError(
    `${beside}: its picture would not be cropped as paddingMaskCrop crops the image; leave one of them out.`,
  );
}

/** @param narrow the picture's shorter side */
function requireBlur({ maskBlur, pasteBack }: Read, narrow: number): void {
  requireOption(
    maskBlur === 0 || pasteBack,
    "maskBlur",
    maskBlur,
    "pasteBack: true with it, as only its seam is blurred",
  );
  requireOption(maskBlur < narrow, "maskBlur", maskBlur, `less than the picture's shorter side, ${narrow}`);
}

function requireLatents({ latents }: Read, shape: number[], [height, width]: [number, number]) {
  if (!latents) return;
  requireOption(latents.dtype === "float32", "latents", latents.dtype, "float32");
  if (latents.shape.join() === shape.join()) return;
  throw new PipelineOptionError(
    `latents: [${latents.shape.join(", ")}]; expected [${shape.join(", ")}]: a row for each picture, ` +
      `of ${width} x ${height} pixels.`,
  );
}

function requireHandOver({ denoisingStart, denoisingEnd = 1, latents, image, mask }: Read): void {
  if (denoisingStart === undefined) return;
  requireBetween("denoisingStart", denoisingStart, 0, denoisingEnd);
  const isMore = image && !mask;
  if (!latents || isMore) {
    throw new PipelineOptionError(
      `denoisingStart: given ${isMore ? "with an image" : "without latents"}; give the latents that another pipeline left there` +
        `${isMore ? ", and no image" : ""}.`,
    );
  }
}

/** @throws PipelineOptionError if the text encoder has too few layers */
export function requireClipSkip(clipSkip: number, { textLayers }: Pick<NetworkSizes, "textLayers">): void {
  requireWhole("clipSkip", clipSkip, 0);
  requireOption(clipSkip < textLayers, "clipSkip", clipSkip, `less than the text encoder's ${textLayers} layers`);
}

/** Width and number of a prompt's text states; any number if it is not given. */
type TextSizes = Pick<NetworkSizes, "textWidth"> & { textTokens: number | undefined };

/** The prompts or their text states. */
export function checkedPrompts({ prompt, promptEmbeds }: PromptOptions, sizes: TextSizes) {
  if ((prompt === undefined) === (promptEmbeds === undefined)) {
    throw new PipelineOptionError(
      `prompt, promptEmbeds: ${prompt === undefined ? "neither is" : "both are"} given; give one of them.`,
    );
  }
  return promptEmbeds ? checkedEmbeds("promptEmbeds", promptEmbeds, sizes) : texts("prompt", prompt!);
}

/** The negative prompts or their text states, one for all or one for each of `count` prompts. */
export function checkedNegatives(options: PromptOptions, count: number, sizes: TextSizes) {
  const { negativePrompt, negativePromptEmbeds, promptEmbeds } = options;
  if (!negativePromptEmbeds) return negativesFor(count, negativePrompt ?? "");
  if (negativePrompt !== undefined) {
    throw new PipelineOptionError("negativePrompt, negativePromptEmbeds: both are given; give one of them.");
  }
  const [rows, tokens] = checkedEmbeds("negativePromptEmbeds", negativePromptEmbeds, sizes).shape;
  const expected = promptEmbeds?.shape[1] ?? sizes.textTokens;
  requireOption(
    (rows === 1 || rows === count) && (expected === undefined || tokens === expected),
    "negativePromptEmbeds",
    `[${negativePromptEmbeds.shape.join(", ")}]`,
    `1 or ${count} rows, and as many tokens as the prompts have${expected === undefined ? "" : `, ${expected}`}`,
  );
  return negativePromptEmbeds;
}

function checkedEmbeds(option: string, embeds: tf.Tensor3D, { textWidth }: TextSizes): tf.Tensor3D {
  const fits = embeds.rank === 3 && embeds.shape[0] > 0 && embeds.shape[2] === textWidth;
  requireOption(fits, option, `[${embeds.shape.join(", ")}]`, `[prompts, tokens, ${textWidth}]`);
  return embeds;
}

function checkedSize(options: Read, sizes: NetworkSizes): [number, number] {
  const { width, height, latents, paddingMaskCrop } = options;
  const { size, factor, latentChannels } = sizes;
  const image = paddingMaskCrop === undefined ? options.image : undefined;
  const ofLatents = latents?.rank === 4 && latents.shape[3] === latentChannels ? latents.shape.slice(1, 3) : [];
  const [rows, columns] = image ? image.shape.slice(-3) : ofLatents.map((side) => side * factor);
  const asked = { height: height ?? rows ?? size[0], width: width ?? columns ?? size[1] };
  for (const [side, pixels] of Object.entries(asked)) {
    requireOption(
      Number.isSafeInteger(pixels) && pixels > 0 && pixels % factor === 0,
      side,
      pixels,
      `a multiple of ${factor} pixels${image ? "; cut or resize the picture" : ""}`,
    );
  }
  if (image && (rows !== asked.height || columns !== asked.width)) {
    throw new PipelineOptionError(
      `width, height: ${asked.width} x ${asked.height}, but the image has ${columns} x ${rows}; ` +
        "resize the image, or leave them out.",
    );
  }
  return [asked.height, asked.width];
}

/**
 * @throws PipelineOptionError unless this is one picture [height, width, channels], or one for each of the batch; an
 *   axis of length 1 in front or behind may be left out
 */
export function requirePictureShape(
  option: string,
  given: tf.Tensor,
  [height, width, channels]: readonly [number, number, number],
  batch: number,
): void {
  const isFlat = given.rank === 2 && channels === 1;
  const [rows, ...rest] = isFlat ? [1, ...given.shape, 1] : given.rank === 3 ? [1, ...given.shape] : given.shape;
  const fits = rest.join() === [height, width, channels].join() && (rows === 1 || rows === batch);
  requireOption(
    fits,
    option,
    `[${given.shape.join(", ")}]`,
    `[${height}, ${width}, ${channels}], or [1 or ${batch}, ${height}, ${width}, ${channels}]`,
  );
}

/** A picture of {@link requirePictureShape} as [1 or batch, height, width, channels]; the caller owns it. */
export function withAllAxes(given: tf.Tensor, [height, width, channels]: readonly [number, number, number]) {
  return given.reshape<tf.Tensor4D>([-1, height, width, channels]);
}
