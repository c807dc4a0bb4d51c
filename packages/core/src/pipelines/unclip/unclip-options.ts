import type * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "../options/errors.js";
import { type OptionNames, requireKnownOptions } from "../options/known-options.js";
import { requireOption, requireTensor, requireWhole, texts } from "../options/option-checks.js";
import type { UnCLIPFacts } from "./unclip-parts.js";
import type { TextStates } from "./unclip-text.js";

/** What unCLIP works at: the image embedding, the small picture, the large one. */
export type UnCLIPStage = "prior" | "decoder" | "superResolution";

/** What `onStep` is told after each step. */
export interface UnCLIPStep {
  readonly stage: UnCLIPStage;
  /** Counts from 0 to `total` - 1 over all stages. */
  readonly index: number;
  readonly total: number;
  /** The timestep the stage's network was asked about. */
  readonly timestep: number;
  /**
   * After this step: an embedding [B, D] in the prior, then pictures [B, h, w, 3] about [-1, 1]; lent until the next
   * step.
   */
  readonly latents: tf.Tensor;
  /** The same to look at, [B, h, w, 3] in [0, 1], grey while there is no picture; the caller owns it. */
  preview(): tf.Tensor4D;
}

/**
 * How unCLIP makes pictures of image embeddings; checked before any work is done, and a PipelineOptionError says what
 * is wrong.
 */
export interface UnCLIPDrawingOptions {
  /** Steps of the decoder, which draws a small picture, default 25. */
  decoderNumInferenceSteps?: number;
  /** Steps that enlarge it, default 7; the last is made by a network of its own. */
  superResNumInferenceSteps?: number;
  /** How strongly the decoder follows the embedding and the text, default 8; at 1 or below it is not guided. */
  decoderGuidanceScale?: number;
  /** The same seed draws the same pictures on every backend, but for rounding. Default 0, a seed like any other. */
  seed?: number;
  /** Pictures of each prompt, picture or embedding, default 1; they follow each other in the result. */
  numImages?: number;
  /** Standard normal noise for the decoder to start from, [B, h, w, 3]; borrowed. Default: drawn from `noise`. */
  decoderLatents?: tf.Tensor4D;
  /** The same for the enlarging networks, [B, H, W, 3]. */
  superResLatents?: tf.Tensor4D;
  /** Where random numbers come from, default `keyedNoise(seed)`. */
  noise?: NoiseSource;
  /**
   * Let the first layer whose output is NaN or infinite throw a NonFiniteLayerError that names it. Slow; default false.
   */
  debug?: boolean;
  /** Ends the work between two steps, with the signal's reason. */
  signal?: AbortSignal;
  /** Called after every step; the step's tensors are lent for the call. */
  onStep?: (step: UnCLIPStep) => void;
}

/** What UnCLIPPipeline draws, and how. */
export interface UnCLIPOptions extends UnCLIPDrawingOptions {
  /** What to draw; several prompts are drawn in one batch. */
  prompt?: string | string[];
  /** In place of prompts: what the text encoder made of them, as by `pipeline.textStates(prompts)`; borrowed. */
  textStates?: TextStates;
  /** Steps of the prior, which makes an image embedding of the text, default 25. */
  priorNumInferenceSteps?: number;
  /**
   * How strongly the prior follows the prompt, default 4; with both scales at 1 or below guidance is off and steps cost
   * half.
   */
  priorGuidanceScale?: number;
  /** Standard normal noise for the prior to start from, [B, D]; borrowed. */
  priorLatents?: tf.Tensor2D;
}

/** What UnCLIPImageVariationPipeline draws, and how. */
export interface UnCLIPImageVariationOptions extends UnCLIPDrawingOptions {
  /** Pictures to draw anew, [H, W, 3] or [N, H, W, 3] in [0, 1]; borrowed. */
  image?: tf.Tensor3D | tf.Tensor4D;
  /** In place of pictures: their embeddings, [N, D], as by `pipeline.imageEmbeddings(images)`; borrowed. */
  imageEmbeddings?: tf.Tensor2D;
}

const DRAWING_NAMES: OptionNames<UnCLIPDrawingOptions> = {
  decoderNumInferenceSteps: true,
  superResNumInferenceSteps: true,
  decoderGuidanceScale: true,
  seed: true,
  numImages: true,
  decoderLatents: true,
  superResLatents: true,
  noise: true,
  debug: true,
  signal: true,
  onStep: true,
};
const NAMES: OptionNames<UnCLIPOptions> = {
  ...DRAWING_NAMES,
  prompt: true,
  textStates: true,
  priorNumInferenceSteps: true,
  priorGuidanceScale: true,
  priorLatents: true,
};
const VARIATION_NAMES: OptionNames<UnCLIPImageVariationOptions> = {
  ...DRAWING_NAMES,
  image: true,
  imageEmbeddings: true,
};

/** {@link UnCLIPDrawingOptions}, checked, with their defaults. */
export interface CheckedDrawing {
  /** Pictures in all. */
  batch: number;
  numImages: number;
  seed: number;
  decoderSteps: number;
  superResSteps: number;
  decoderScale: number;
}

/** @throws PipelineOptionError */
export function checkDrawing(options: UnCLIPDrawingOptions, rows: number, facts: UnCLIPFacts): CheckedDrawing {
  const { numImages = 1, seed = 0, decoderGuidanceScale: decoderScale = 8 } = options;
  const { decoderNumInferenceSteps: decoderSteps = 25, superResNumInferenceSteps: superResSteps = 7 } = options;
  requireWhole("numImages", numImages, 1);
  requireWhole("seed", seed, 0);
  requireWhole("decoderNumInferenceSteps", decoderSteps, 1);
  requireWhole("superResNumInferenceSteps", superResSteps, 1);
  requireScale("decoderGuidanceScale", decoderScale);
  const batch = rows * numImages;
  requireShape("decoderLatents", options.decoderLatents, [batch, ...facts.small]);
  requireShape("superResLatents", options.superResLatents, [batch, ...facts.large]);
  return { batch, numImages, seed, decoderSteps, superResSteps, decoderScale };
}

/** {@link UnCLIPOptions}, checked, with their defaults. */
export interface CheckedUnCLIP extends CheckedDrawing {
  text: string[] | TextStates;
  priorSteps: number;
  priorScale: number;
}

/**
 * @param tokens how many the prior takes
 * @throws PipelineOptionError
 */
export function checkUnCLIP(options: UnCLIPOptions, facts: UnCLIPFacts, tokens: number): CheckedUnCLIP {
  requireKnownOptions(options, NAMES);
  const { prompt, textStates, priorLatents } = options;
  const { priorNumInferenceSteps: priorSteps = 25, priorGuidanceScale: priorScale = 4 } = options;
  requireOneOf({ prompt, textStates });
  const text = textStates ?? texts("prompt", prompt!);
  if (textStates) {
    const { textEmbeds, hiddenStates, attentionMask } = textStates;
    requireTensor("textStates.hiddenStates", hiddenStates);
    requireTensor("textStates.attentionMask", attentionMask);
    requireRows("textStates.textEmbeds", textEmbeds, [facts.width]);
    const [rows] = textEmbeds.shape;
    requireShape("textStates.hiddenStates", hiddenStates, [rows, tokens, facts.width]);
    requireShape("textStates.attentionMask", attentionMask, [rows, tokens]);
  }
  requireWhole("priorNumInferenceSteps", priorSteps, 1);
  requireScale("priorGuidanceScale", priorScale);
  const drawing = checkDrawing(options, Array.isArray(text) ? text.length : text.textEmbeds.shape[0], facts);
  requireShape("priorLatents", priorLatents, [drawing.batch, facts.width]);
  return { ...drawing, text, priorSteps, priorScale };
}

/** @throws PipelineOptionError */
export function checkVariation(options: UnCLIPImageVariationOptions, facts: UnCLIPFacts): CheckedDrawing {
  requireKnownOptions(options, VARIATION_NAMES);
  const { image, imageEmbeddings } = options;
  requireOneOf({ image, imageEmbeddings });
  if (image !== undefined) requirePictureShape("image", image);
  if (imageEmbeddings !== undefined) requireRows("imageEmbeddings", imageEmbeddings, [facts.width]);
  const rows = imageEmbeddings ? imageEmbeddings.shape[0] : image!.rank === 4 ? image!.shape[0] : 1;
  return checkDrawing(options, rows, facts);
}

/** @throws PipelineOptionError unless these are pictures, [H, W, 3] or [N, H, W, 3] */
export function requirePictureShape(option: string, picture: tf.Tensor): void {
  requireTensor(option, picture);
  const { rank, shape, size } = picture;
  const fits = (rank === 3 || rank === 4) && shape.at(-1) === 3 && size > 0;
  requireOption(fits, option, `[${shape.join(", ")}]`, "[H, W, 3], or [N, H, W, 3]");
}

function requireOneOf(options: Record<string, unknown>): void {
  const given = Object.values(options).filter((value) => value !== undefined).length;
  if (given === 1) return;
  const found = given === 0 ? "neither is" : "both are";
  throw new PipelineOptionError(`${Object.keys(options).join(", ")}: ${found} given; give one of them.`);
}

function requireScale(option: string, scale: number): void {
  requireOption(Number.isFinite(scale), option, scale, "a finite number (1 or less: no guidance)");
}

function requireRows(option: string, given: tf.Tensor, row: number[]): void {
  requireTensor(option, given);
  const { shape } = given;
  const fits = shape.length === row.length + 1 && shape[0] > 0 && shape.slice(1).join() === row.join();
  requireOption(fits, option, `[${shape.join(", ")}]`, `[rows, ${row.join(", ")}]`);
}

function requireShape(option: string, given: tf.Tensor | undefined, shape: number[]): void {
  if (given === undefined) return;
  requireTensor(option, given);
  requireOption(given.shape.join() === shape.join(), option, `[${given.shape.join(", ")}]`, `[${shape.join(", ")}]`);
}
