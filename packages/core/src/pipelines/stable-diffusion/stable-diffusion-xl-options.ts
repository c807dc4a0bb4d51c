import type * as tf from "@tensorflow/tfjs";
import { PipelineOptionError } from "../options/errors.js";
import { finite, type OptionsOf, type ReadOptions, tensor, text, withDefaults } from "../options/option.js";
import { requireOption, texts } from "../options/option-checks.js";
import {
  type CheckedOptions,
  STABLE_DIFFUSION_OPTIONS,
  type StableDiffusionOptions,
} from "./stable-diffusion-options.js";

/** Height and width, or top and left, in pixels. */
export type PixelPair = readonly [number, number];

const pixelPair = {
  expected: "two whole numbers of pixels, 0 or more",
  fits: (value: unknown): value is PixelPair =>
    Array.isArray(value) && value.length === 2 && value.every((n) => Number.isSafeInteger(n) && n >= 0),
};

/**
 * The options of Stable Diffusion XL besides those of Stable Diffusion.
 *
 * The sizes are its micro-conditioning (Podell et al. 2024, section 2.2): in training it read the original size of each
 * picture and where it was cropped. A small `originalSize` gives soft pictures, a crop gives pictures that are cut off.
 */
const OWN_OPTIONS = {
  /** Prompts for the second text encoder, one for each prompt. Default: the same prompts. */
  prompt2: text(),
  /** Negative prompts for the second text encoder. Default: the same negative prompts. */
  negativePrompt2: text(),
  /** Sentence vectors of the second text encoder, [prompts, D]; needed with `promptEmbeds`. */
  pooledPromptEmbeds: tensor<tf.Tensor2D>(),
  /** The same for `negativePromptEmbeds`. */
  negativePooledPromptEmbeds: tensor<tf.Tensor2D>(),
  /** Original height and width that the picture should appear to have. Default: its own size. */
  originalSize: pixelPair,
  /** Top and left of the crop. Default [0, 0]: objects are centred. */
  cropsCoordsTopLeft: pixelPair,
  /** Height and width after the crop. Default: the picture's own size. */
  targetSize: pixelPair,
  /** The same for the negative prompts, both sizes or none. Default: those of the prompts. */
  negativeOriginalSize: pixelPair,
  /** See `negativeOriginalSize`. */
  negativeTargetSize: pixelPair,
  /** Default, as in diffusers: that of the prompts; [0, 0] if negative sizes are given, and for the refiner. */
  negativeCropsCoordsTopLeft: pixelPair,
  /** An aesthetic score, which the refiner reads in place of the target size. Default 6. */
  aestheticScore: finite("a finite number", { default: 6 }),
  /** The same for the negative prompts. Default 2.5. */
  negativeAestheticScore: finite("a finite number", { default: 2.5 }),
};

/** All options of Stable Diffusion XL. */
export const STABLE_DIFFUSION_XL_OPTIONS = withDefaults(
  { ...STABLE_DIFFUSION_OPTIONS, ...OWN_OPTIONS },
  { guidanceScale: 5 },
);

/** What Stable Diffusion XL draws, and how. `guidanceScale` is 5 by default. */
export interface StableDiffusionXLOptions extends StableDiffusionOptions, OptionsOf<typeof OWN_OPTIONS> {}

/** {@link StableDiffusionXLOptions}, checked, with their defaults. */
export type CheckedXLOptions = CheckedOptions & ReadOptions<typeof STABLE_DIFFUSION_XL_OPTIONS>;

/** The prompts of the first and of the second text encoder; equally many. */
export interface PromptPair {
  first: string[];
  second: string[];
}

/** The prompts for both encoders; the shorter list is one prompt for all. */
export function promptPair(first: string[], given: string | string[] | undefined): PromptPair {
  const second = given === undefined ? first : [given].flat();
  const count = Math.max(first.length, second.length);
  const stretched = (list: string[]) => (list.length === count ? list : Array<string>(count).fill(list[0]!));
  return { first: stretched(first), second: stretched(second) };
}

/**
 * Checks XL's own options against each other.
 *
 * @param vectorWidth numbers in a sentence vector
 * @throws PipelineOptionError for second prompts and vectors that are missing or do not fit
 */
export function checkXLOptions(options: CheckedXLOptions, vectorWidth: number): void {
  const { prompts, negatives } = options;
  if ((options.negativeOriginalSize === undefined) !== (options.negativeTargetSize === undefined)) {
    throw new PipelineOptionError("negativeOriginalSize, negativeTargetSize: only one is given; give both or none.");
  }
  checkSecond("prompt2", options.prompt2, prompts, prompts);
  checkSecond("negativePrompt2", options.negativePrompt2, negatives, prompts);
  checkPooled("prompt", prompts, options.pooledPromptEmbeds, vectorWidth);
  checkPooled("negativePrompt", negatives, options.negativePooledPromptEmbeds, vectorWidth);
}

function checkSecond(
  option: string,
  second: string | string[] | undefined,
  first: string[] | tf.Tensor3D,
  prompts: string[] | tf.Tensor3D,
): void {
  if (second === undefined) return;
  if (!Array.isArray(first)) {
    throw new PipelineOptionError(
      `${option}: given with states of both text encoders, so it would be ignored; leave it out.`,
    );
  }
  const given = texts(option, second).length;
  const count = Array.isArray(prompts) ? prompts.length : prompts.shape[0];
  requireOption(
    given === 1 || given === count,
    option,
    `${given} for ${count} prompts`,
    "one for all, or one for each",
  );
}

function checkPooled(
  kind: string,
  states: string[] | tf.Tensor3D,
  pooled: tf.Tensor2D | undefined,
  width: number,
): void {
  const [embeds, vectors] =
    kind === "prompt"
      ? (["promptEmbeds", "pooledPromptEmbeds"] as const)
      : (["negativePromptEmbeds", "negativePooledPromptEmbeds"] as const);
  if (Array.isArray(states)) {
    if (pooled) throw new PipelineOptionError(`${vectors}: given without ${embeds}; give both or none.`);
    return;
  }
  if (!pooled) throw new PipelineOptionError(`${embeds}: given without ${vectors}; give both or none.`);
  const rows = states.shape[0];
  requireOption(
    pooled.shape.join() === [rows, width].join(),
    vectors,
    `[${pooled.shape.join(", ")}]`,
    `[${rows}, ${width}], a row for each of ${embeds}`,
  );
}

/** The denoiser's time ids, made from the sizes, for the prompts and for the negative prompts. */
export function timeIds(
  options: CheckedXLOptions,
  size: PixelPair,
  isRefiner: boolean,
): { positive: number[]; negative: number[] } {
  const { originalSize = size, cropsCoordsTopLeft: crop = [0, 0], targetSize = size } = options;
  const { negativeOriginalSize, negativeTargetSize } = options;
  const { aestheticScore, negativeAestheticScore } = options;
  const { negativeCropsCoordsTopLeft = isRefiner || negativeOriginalSize ? [0, 0] : crop } = options;
  const positive = [...originalSize, ...crop];
  const negative = [...(negativeOriginalSize ?? originalSize), ...negativeCropsCoordsTopLeft];
  return isRefiner
    ? { positive: [...positive, aestheticScore], negative: [...negative, negativeAestheticScore] }
    : { positive: [...positive, ...targetSize], negative: [...negative, ...(negativeTargetSize ?? targetSize)] };
}
