import * as tf from "@tensorflow/tfjs";
import type { NoiseSource, Scheduler } from "@tfjs-diffusion/schedulers";
import type { ConditionalDenoiser } from "../../models/denoiser.js";
import { checkControl, type Control, controlsOf } from "./control.js";
import { PipelineOptionError } from "../options/errors.js";
import type { OptionNames } from "../options/known-options.js";
import {
  negativesFor,
  requireBetween,
  requireOption,
  requireTensors,
  requireWhole,
  texts,
} from "../options/option-checks.js";

/** What `onStep` is told after each step. */
export interface StableDiffusionStep {
  /** Counts from 0 to `total` - 1. */
  readonly index: number;
  readonly total: number;
  /** The timestep the network was asked about. */
  readonly timestep: number;
  /** The latents after this step, [B, h, w, C]; lent until the next step. */
  readonly latents: tf.Tensor4D;
  /** A small picture of them, [B, h, w, 3] in [0, 1], without the autoencoder's work; the caller owns it. */
  preview(): tf.Tensor4D;
}

/**
 * What to draw, and how; checked before any work is done, and a PipelineOptionError says what is wrong.
 *
 * With `image` it is image-to-image: the picture is noised as far as `strength` says and drawn anew from there. With
 * `image` and `mask` it is inpainting. All tensors are borrowed.
 */
export interface StableDiffusionOptions {
  /** What to draw; several prompts are drawn in one batch. Left out only if `promptEmbeds` is given. */
  prompt?: string | string[];
  /** What to draw away from, one for all prompts or one for each. Default "". */
  negativePrompt?: string | string[];
  /**
   * Read weights in prompts, `(word:1.3)`, `(word)`, `[word]`: see parsePromptWeights. Default false: brackets are
   * text.
   */
  promptWeighting?: boolean;
  /** States of a text encoder in place of prompts, [prompts, tokens, C]. */
  promptEmbeds?: tf.Tensor3D;
  /** The same in place of negative prompts, [1 or prompts, tokens, C]. */
  negativePromptEmbeds?: tf.Tensor3D;
  /** Steps of the sampler from pure noise, default 50; with `strength` below 1 only that share of them is done. */
  numInferenceSteps?: number;
  /** How strongly to follow the prompt, default 7.5; at 1 or below guidance is off and a step costs half. */
  guidanceScale?: number;
  /** 0 to 1, default 0: how much of the contrast that guidance adds is taken back (Lin et al. 2024). */
  guidanceRescale?: number;
  /**
   * Share of fresh noise, 0 to 1, for samplers that let it be chosen (DDIM, TCD). Default 0, as in diffusers, also for
   * TCD.
   */
  eta?: number;
  /**
   * Layers of the text encoder to leave out at its end, default 0; 1 is what many community models were trained with.
   */
  clipSkip?: number;
  /** The same seed draws the same pictures on every backend, but for rounding. Default 0, a seed like any other. */
  seed?: number;
  /** Pictures of each prompt, default 1; they follow each other in the result. */
  numImages?: number;
  /**
   * In pixels, multiples of the autoencoder's factor (8 for the published models). Default: those of the `image` or the
   * `latents`, else what the network was trained on.
   */
  width?: number;
  height?: number;
  /** Another sampler than the pipeline's. */
  scheduler?: Scheduler;
  /**
   * Noise to start from, standard normal, [prompts x numImages, height / factor, width / factor, C], default: drawn
   * from `noise`; with `denoisingStart` the latents that another pipeline handed over.
   */
  latents?: tf.Tensor4D;
  /** Where random numbers come from, default `keyedNoise(seed)`. */
  noise?: NoiseSource;
  /** Pictures in [0, 1] to start from, [H, W, 3] or [B, H, W, 3] with B 1 or prompts x numImages. */
  image?: tf.Tensor3D | tf.Tensor4D;
  /** What to paint anew, from 0.5 on, and what to keep: [H, W], [H, W, 1] or [B, H, W, 1], of the picture's size. */
  mask?: tf.Tensor2D | tf.Tensor3D | tf.Tensor4D;
  /**
   * 0 to 1: how much of the picture is drawn anew. Default 0.8, with a mask 1 (nothing of what was under it shows
   * through).
   */
  strength?: number;
  /**
   * 0 to 1: stop after this share of the way from noise to picture and leave the rest to another pipeline. Default 1.
   */
  denoisingEnd?: number;
  /**
   * 0 to 1: go on from `latents` that another pipeline left at its `denoisingEnd` of this, by the same sampler and
   * number of steps. Where it was inpainting, give the `mask` too; the `image` is in the latents, and is needed only by
   * networks of 9 channels and for `pasteBack`.
   */
  denoisingStart?: number;
  /**
   * With a mask: put the given picture back outside it, bit for bit; without, all has been through the autoencoder. A
   * network of 9 channels also has its latents outside the mask set to the picture's after each step, so that what it
   * paints fits (diffusers does not). Default false.
   */
  pasteBack?: boolean;
  /**
   * With `pasteBack` only: the width in pixels of the band inside the mask over which the new picture fades in. Default
   * 0.
   */
  maskBlur?: number;
  /** A ControlNet and the picture it reads; with several, what they add to the UNet is added up. */
  control?: Control | readonly Control[];
  /**
   * Look at every layer's output, and let the first that is NaN or infinite throw a NonFiniteLayerError that names the
   * step and the layer. Slow; default false, which costs nothing.
   */
  debug?: boolean;
  /** Ends the work between two steps, with the signal's reason. */
  signal?: AbortSignal;
  /** Called after every step; the step's tensors are lent for the call. */
  onStep?: (step: StableDiffusionStep) => void;
}

export const STABLE_DIFFUSION_OPTIONS: OptionNames<StableDiffusionOptions> = {
  prompt: true,
  negativePrompt: true,
  promptWeighting: true,
  promptEmbeds: true,
  negativePromptEmbeds: true,
  numInferenceSteps: true,
  guidanceScale: true,
  guidanceRescale: true,
  eta: true,
  clipSkip: true,
  seed: true,
  numImages: true,
  width: true,
  height: true,
  scheduler: true,
  latents: true,
  noise: true,
  image: true,
  mask: true,
  strength: true,
  denoisingEnd: true,
  denoisingStart: true,
  pasteBack: true,
  maskBlur: true,
  control: true,
  debug: true,
  signal: true,
  onStep: true,
};

/** {@link StableDiffusionOptions}, checked, with their defaults. */
export interface CheckedOptions {
  prompts: string[] | tf.Tensor3D;
  negatives: string[] | tf.Tensor3D;
  steps: number;
  guidanceScale: number;
  guidanceRescale: number;
  clipSkip: number;
  seed: number;
  numImages: number;
  strength: number;
  eta: number;
  denoisingStart: number | undefined;
  denoisingEnd: number | undefined;
  maskBlur: number;
  /** Of the latents, [prompts x numImages, h, w, C]. */
  shape: [number, number, number, number];
  /** [1 or B, H, W, 3]; a view that the caller of the check disposes of. */
  image: tf.Tensor4D | undefined;
  mask: tf.Tensor4D | undefined;
}

/** What to draw, and what to draw away from. */
export type PromptOptions = Pick<
  StableDiffusionOptions,
  "prompt" | "promptEmbeds" | "negativePrompt" | "negativePromptEmbeds"
>;

export const PROMPT_OPTIONS: OptionNames<PromptOptions> = {
  prompt: true,
  promptEmbeds: true,
  negativePrompt: true,
  negativePromptEmbeds: true,
};

/** What the checks must know of the networks. */
export interface PipelineFacts {
  /** Height and width in pixels that the network was trained on. */
  size: [number, number];
  factor: number;
  latentChannels: number;
  /** Width of the text states. */
  textWidth: number;
  /** How many of them there are of a prompt. */
  textTokens: number;
  textLayers: number;
  /** The network also takes a mask and the picture around it (9 channels): without a mask it cannot draw. */
  needsMask: boolean;
  /** What a ControlNet must fit. */
  denoiser: ConditionalDenoiser;
}

/** @throws PipelineOptionError for what is out of its range or does not fit, saying what would */
export function checkStableDiffusionOptions(options: StableDiffusionOptions, facts: PipelineFacts): CheckedOptions {
  const { numInferenceSteps = 50, guidanceScale = 7.5, guidanceRescale = 0, clipSkip = 0, seed = 0 } = options;
  const { numImages = 1, mask, image, maskBlur = 0, pasteBack = false, eta = 0 } = options;
  const { strength = mask ? 1 : 0.8, denoisingStart, denoisingEnd } = options;
  const { latents } = options;
  requireTensors({ image, mask, latents });
  const floats = latents?.dtype ?? "float32";
  requireOption(floats === "float32", "latents", floats, "float32");
  requireWhole("numInferenceSteps", numInferenceSteps, 1);
  requireWhole("numImages", numImages, 1);
  requireWhole("seed", seed, 0);
  requireWhole("maskBlur", maskBlur, 0);
  requireClipSkip(clipSkip, facts);
  const isFinite = Number.isFinite(guidanceScale);
  requireOption(isFinite, "guidanceScale", guidanceScale, "a finite number (1 or less: no guidance)");
  requireBetween("guidanceRescale", guidanceRescale, 0, 1);
  requireBetween("eta", eta, 0, 1);
  requireBetween("strength", strength, 0, 1);

  checkHandOver(options);

  const prompts = checkedPrompts(options, facts);
  const count = Array.isArray(prompts) ? prompts.length : prompts.shape[0];
  const negatives = checkedNegatives(options, count, facts);
  const batch = count * numImages;

  if (mask && !image && denoisingStart === undefined)
    throw new PipelineOptionError("mask: given without an image; give the picture to change as image.");
  if (facts.needsMask && !(image && mask)) {
    throw new PipelineOptionError(
      "image, mask: missing; this network was trained to fill masked regions and needs both. " +
        "To draw a whole picture give a mask of ones.",
    );
  }
  requireOption(
    options.strength === undefined || image !== undefined || denoisingStart !== undefined,
    "strength",
    strength,
    "an image that it is the strength for; give the picture to change as image",
  );
  if (pasteBack && !(image && mask)) {
    const missing = mask ? "the image" : "a mask";
    throw new PipelineOptionError(`pasteBack: given without ${missing}; there is nothing to keep.`);
  }
  const [height, width] = checkedSize(options, facts);
  requireOption(
    maskBlur === 0 || pasteBack,
    "maskBlur",
    maskBlur,
    "pasteBack: true with it, as what is blurred is the seam",
  );
  const narrow = Math.min(height, width);
  requireOption(maskBlur < narrow, "maskBlur", maskBlur, `less than the picture's shorter side, ${narrow}`);
  const shape: CheckedOptions["shape"] = [batch, height / facts.factor, width / facts.factor, facts.latentChannels];
  if (latents && latents.shape.join() !== shape.join()) {
    throw new PipelineOptionError(
      `latents: [${latents.shape.join(", ")}]; expected [${shape.join(", ")}]: a row for each picture, ` +
        `of ${width} x ${height} pixels.`,
    );
  }
  for (const [name, control] of controlsOf(options.control))
    checkControl(name, control, { denoiser: facts.denoiser, height: shape[1], width: shape[2] });
  const numbers = {
    steps: numInferenceSteps,
    guidanceScale,
    guidanceRescale,
    clipSkip,
    seed,
    numImages,
    strength,
    eta,
  };
  return {
    ...{ prompts, negatives, ...numbers, denoisingStart, denoisingEnd, maskBlur, shape },
    // Views; if the second is refused, the tidy frees the first.
    ...tf.tidy(() => ({
      image: image && checkedPictures("image", image, [height, width, 3], batch),
      mask: mask && checkedPictures("mask", mask, [height, width, 1], batch),
    })),
  };
}

function checkHandOver({ denoisingStart, denoisingEnd = 1, latents, image, mask }: StableDiffusionOptions): void {
  requireBetween("denoisingEnd", denoisingEnd, 0, 1);
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

/** @throws PipelineOptionError if the text encoder has no layer so long before its last */
export function requireClipSkip(clipSkip: number, { textLayers }: Pick<PipelineFacts, "textLayers">): void {
  requireWhole("clipSkip", clipSkip, 0);
  requireOption(clipSkip < textLayers, "clipSkip", clipSkip, `less than the text encoder's ${textLayers} layers`);
}

/** What there is of a prompt. */
type TextFacts = Pick<PipelineFacts, "textWidth" | "textTokens">;

/** The prompts, or their states. */
export function checkedPrompts({ prompt, promptEmbeds }: PromptOptions, facts: TextFacts) {
  requireTensors({ promptEmbeds });
  if ((prompt === undefined) === (promptEmbeds === undefined)) {
    throw new PipelineOptionError(
      `prompt, promptEmbeds: ${prompt === undefined ? "neither is" : "both are"} given; give one of them.`,
    );
  }
  return promptEmbeds ? checkedEmbeds("promptEmbeds", promptEmbeds, facts) : texts("prompt", prompt!);
}

/** The same for what to draw away from, one for all or one for each of `count` prompts. */
export function checkedNegatives(options: PromptOptions, count: number, facts: TextFacts) {
  const { negativePrompt, negativePromptEmbeds, promptEmbeds } = options;
  requireTensors({ negativePromptEmbeds });
  if (!negativePromptEmbeds) return negativesFor(count, negativePrompt ?? "");
  if (negativePrompt !== undefined) {
    throw new PipelineOptionError("negativePrompt, negativePromptEmbeds: both are given; give one of them.");
  }
  const [rows, tokens] = checkedEmbeds("negativePromptEmbeds", negativePromptEmbeds, facts).shape;
  const expected = promptEmbeds?.shape[1] ?? facts.textTokens;
  requireOption(
    (rows === 1 || rows === count) && tokens === expected,
    "negativePromptEmbeds",
    `[${negativePromptEmbeds.shape.join(", ")}]`,
    `1 or ${count} rows, and as many tokens as the prompts have, ${expected}`,
  );
  return negativePromptEmbeds;
}

function checkedEmbeds(option: string, embeds: tf.Tensor3D, { textWidth }: TextFacts): tf.Tensor3D {
  const fits = embeds.rank === 3 && embeds.shape[0] > 0 && embeds.shape[2] === textWidth;
  requireOption(fits, option, `[${embeds.shape.join(", ")}]`, `[prompts, tokens, ${textWidth}]`);
  return embeds;
}

function checkedSize({ width, height, image, latents }: StableDiffusionOptions, facts: PipelineFacts) {
  const { size, factor, latentChannels } = facts;
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
  return [asked.height, asked.width] as const;
}

/** As [1 or batch, ...shape]; axes that are left out in front or behind are added. */
export function checkedPictures(option: string, given: tf.Tensor, shape: [number, number, number], batch: number) {
  const [height, width, channels] = shape;
  const isFlat = given.rank === 2 && channels === 1;
  const [rows = 1, ...rest] = isFlat ? [1, ...given.shape, 1] : given.rank === 3 ? [1, ...given.shape] : given.shape;
  const fits = rest.length === 3 && rest.join() === shape.join() && (rows === 1 || rows === batch);
  requireOption(
    fits,
    option,
    `[${given.shape.join(", ")}]`,
    `[${height}, ${width}, ${channels}], or [1 or ${batch}, ${height}, ${width}, ${channels}]`,
  );
  return given.reshape<tf.Tensor4D>([rows, ...shape]);
}
