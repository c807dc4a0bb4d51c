import type * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "@tfjs-diffusion/schedulers";
import type { OptionNames } from "../options/known-options.js";
import { requireBetween, requireOption, requireTensor, requireWhole } from "../options/option-checks.js";
import {
  checkedNegatives,
  checkedPictures,
  checkedPrompts,
  PROMPT_OPTIONS,
  type PromptOptions,
} from "../stable-diffusion/stable-diffusion-options.js";

/** What `onStep` is told after each step. */
export interface DiffEditStep {
  /** Counts from 0 to `total` - 1. */
  readonly index: number;
  readonly total: number;
  /** The timestep the network was asked about. */
  readonly timestep: number;
  /** The latents after this step, [B, h, w, C]; lent until the next step. */
  readonly latents: tf.Tensor4D;
  /** A small picture of them, [B, h, w, 3] in [0, 1]; the caller owns it. */
  preview(): tf.Tensor4D;
}

/** What all stages of an edit take; checked before any work is done, and a PipelineOptionError says what is wrong. */
export interface DiffEditSettings {
  /** Steps of the whole way from noise to a picture, default 50; the same for all stages of one edit. */
  numInferenceSteps?: number;
  /** How strongly to follow the prompt, default 7.5; at 1 or below guidance is off. */
  guidanceScale?: number;
  /** Default 0, a seed like any other. */
  seed?: number;
  /** Where random numbers come from, default `keyedNoise(seed)`. */
  noise?: NoiseSource;
  /**
   * Let the first layer whose output is NaN or infinite throw a NonFiniteLayerError that names it. Slow; default false.
   */
  debug?: boolean;
  /** Ends the work between two steps, with the signal's reason. */
  signal?: AbortSignal;
}

/** What to look for in pictures. */
export interface DiffEditMaskOptions extends DiffEditSettings {
  /** [H, W, 3] or [N, H, W, 3] in [0, 1], N the number of target prompts or 1; borrowed. */
  image: tf.Tensor3D | tf.Tensor4D;
  /** What the pictures show. */
  source: PromptOptions;
  /** What they shall show. */
  target: PromptOptions;
  /** Pairs of answers, each to noise of its own, that are averaged, default 10. */
  numMapsPerMask?: number;
  /** How much noise to look through, 0 to 1, default 0.5. */
  maskEncodeStrength?: number;
  /** What differs by half of so many times the mean is in the mask, default 3. */
  maskThresholdingRatio?: number;
}

/** How to find the noise that pictures would be drawn from. */
export interface DiffEditInvertOptions extends DiffEditSettings, PromptOptions {
  /** As for the mask; the prompts say what the pictures show. */
  image: tf.Tensor3D | tf.Tensor4D;
  /** How far to go back to noise, 0 to 1, default 0.8. */
  strength?: number;
  /** Called after every step; the step's tensors are lent for the call. */
  onStep?: (step: DiffEditStep) => void;
}

/** What to draw into pictures. */
export interface DiffEditOptions extends DiffEditSettings, PromptOptions {
  /**
   * What to change, [h, w], [N, h, w] with N > 1, or [N, h, w, 1] in [0, 1], one value a latent: from 0.5 on is drawn
   * anew; borrowed.
   */
  mask: tf.Tensor2D | tf.Tensor3D | tf.Tensor4D;
  /** What {@link DiffEditInvertOptions} gave, the noisiest first, each [N, h, w, C]; borrowed. */
  imageLatents: readonly tf.Tensor4D[];
  /** That of the inversion, default 0.8. */
  strength?: number;
  /** Pictures of each prompt, default 1; they differ only if the sampler draws noise. */
  numImages?: number;
  /** Share of DDIM's noise, 0 to 1, default 0. */
  eta?: number;
  /** Called after every step; the step's tensors are lent for the call. */
  onStep?: (step: DiffEditStep) => void;
}

/** The names of what the stages take: each may be given the settings of all. */
export const DIFF_EDIT_OPTIONS: OptionNames<DiffEditMaskOptions & DiffEditInvertOptions & DiffEditOptions> = {
  ...PROMPT_OPTIONS,
  numInferenceSteps: true,
  guidanceScale: true,
  seed: true,
  noise: true,
  debug: true,
  signal: true,
  image: true,
  source: true,
  target: true,
  numMapsPerMask: true,
  maskEncodeStrength: true,
  maskThresholdingRatio: true,
  strength: true,
  onStep: true,
  mask: true,
  imageLatents: true,
  numImages: true,
  eta: true,
};

/** Sizes of the latent space. */
export interface DiffEditFacts {
  factor: number;
  latentChannels: number;
  textWidth: number;
  textTokens: number;
}

/** @throws PipelineOptionError */
export function checkSettings(options: DiffEditSettings & { strength?: number; numImages?: number; eta?: number }) {
  const { numInferenceSteps: steps = 50, guidanceScale = 7.5, seed = 0, strength = 0.8 } = options;
  const { numImages = 1, eta = 0 } = options;
  requireWhole("numInferenceSteps", steps, 1);
  requireWhole("seed", seed, 0);
  requireWhole("numImages", numImages, 1);
  const isFinite = Number.isFinite(guidanceScale);
  requireOption(isFinite, "guidanceScale", guidanceScale, "a finite number (1 or less: no guidance)");
  requireBetween("strength", strength, 0, 1);
  requireBetween("eta", eta, 0, 1);
  return { steps, guidanceScale, seed, strength, numImages, eta };
}

/** Prompts that are checked. */
export interface CheckedPrompts {
  prompts: string[] | tf.Tensor3D;
  negatives: string[] | tf.Tensor3D;
  count: number;
}

/** @throws PipelineOptionError */
export function checkPrompts(given: PromptOptions, facts: DiffEditFacts): CheckedPrompts {
  const prompts = checkedPrompts(given, facts);
  const count = Array.isArray(prompts) ? prompts.length : prompts.shape[0];
  return { prompts, negatives: checkedNegatives(given, count, facts), count };
}

/**
 * A row for each of `count` prompts, which the caller owns.
 *
 * @throws PipelineOptionError
 */
export function checkPictures(image: tf.Tensor, count: number, { factor }: DiffEditFacts): tf.Tensor4D {
  requireTensor("image", image);
  const [height = 0, width = 0] = image.shape.slice(-3);
  const fits = (side: number) => side > 0 && side % factor === 0;
  requireOption(
    image.rank >= 3 && fits(height) && fits(width),
    "image",
    `[${image.shape.join(", ")}]`,
    `[N, H, W, 3] with sides of a multiple of ${factor} pixels; cut or resize the picture`,
  );
  return inRows(checkedPictures("image", image, [height, width, 3], count), count);
}

/** The mask of each latent, 0 or 1, [count, h, w, 1], which the caller owns. */
export function checkMask(mask: tf.Tensor, count: number, like: tf.Tensor4D): tf.Tensor4D {
  requireTensor("mask", mask);
  const [, height, width] = like.shape;
  const spread = mask.rank === 3 && mask.shape[0] === count && count > 1 ? mask.expandDims(3) : undefined;
  try {
    return inRows(checkedPictures("mask", spread ?? mask, [height, width, 1], count), count);
  } finally {
    spread?.dispose();
  }
}

/** @throws PipelineOptionError unless there is a picture of latents for each step */
export function checkImageLatents(latents: readonly tf.Tensor4D[], count: number, facts: DiffEditFacts): void {
  const isList: boolean = Array.isArray(latents);
  requireOption(isList, "imageLatents", latents, "the latents that invert gave");
  const [first] = latents;
  requireOption(first !== undefined, "imageLatents", "an empty list", "the latents that invert gave");
  for (const x of latents) requireTensor("imageLatents", x);
  const fits = ({ shape, rank }: tf.Tensor) =>
    rank === 4 && shape[0] === count && shape[3] === facts.latentChannels && shape.join() === first.shape.join();
  const wrong = latents.find((x) => !fits(x));
  const expected = `[${count}, h, w, ${facts.latentChannels}], a row for each prompt, in all steps alike`;
  if (wrong) requireOption(false, "imageLatents", `[${wrong.shape.join(", ")}]`, expected);
}

/** @throws PipelineOptionError */
export function checkMaskSettings({
  numMapsPerMask: maps = 10,
  maskEncodeStrength: strength = 0.5,
  maskThresholdingRatio: ratio = 3,
}: DiffEditMaskOptions) {
  requireWhole("numMapsPerMask", maps, 1);
  requireBetween("maskEncodeStrength", strength, 0, 1);
  requireOption(ratio > 0 && Number.isFinite(ratio), "maskThresholdingRatio", ratio, "a number above 0");
  return { maps, strength, ratio };
}

/** One row for all becomes a row for each. Disposes of its argument. */
function inRows(x: tf.Tensor4D, count: number): tf.Tensor4D {
  if (x.shape[0] === count) return x;
  const rows = x.tile<tf.Tensor4D>([count, 1, 1, 1]);
  x.dispose();
  return rows;
}
