import type * as tf from "@tensorflow/tfjs";
import type { NoiseSource, Scheduler } from "@tfjs-diffusion/schedulers";
import { PipelineOptionError } from "../options/errors.js";
import { type OptionNames, requireKnownOptions } from "../options/known-options.js";
import {
  negativesFor,
  requireBetween,
  requireOption,
  requireTensors,
  requireWhole,
  texts,
} from "../options/option-checks.js";

/** What `onStep` is told after each step. */
export interface TextToImageStep {
  /** Counts from 0 to `total` - 1. */
  readonly index: number;
  readonly total: number;
  /** The timestep the network was asked about. */
  readonly timestep: number;
  /** The pictures with the noise that is left in them, [B, H, W, 3] about [-1, 1]; lent until the next step. */
  readonly latents: tf.Tensor4D;
  /** The same to look at, in [0, 1]; the caller owns it. */
  preview(): tf.Tensor4D;
}

/** What to draw, and how; checked before any work is done, and a PipelineOptionError says what is wrong. */
export interface TextToImageOptions {
  /** What to draw; several prompts are drawn in one batch. */
  prompt: string | string[];
  /** What to draw away from, one for all prompts or one for each. Default "": away from a picture of anything. */
  negativePrompt?: string | string[];
  /** Steps of the sampler, default 20; most samplers call the network once a step. */
  numInferenceSteps?: number;
  /** How strongly to follow the prompt, default 3; at 1 or below guidance is off and a step costs half. */
  guidanceScale?: number;
  /** 0 to 1, default 0: how much of the contrast that guidance adds is taken back (Lin et al. 2024). */
  guidanceRescale?: number;
  /** The same seed draws the same pictures on every backend, but for rounding. Default 0, a seed like any other. */
  seed?: number;
  /** Pictures of each prompt, default 1; they follow each other in the result. */
  numImages?: number;
  /** Another sampler than the folder's. */
  scheduler?: Scheduler;
  /** Noise to start from, standard normal, [prompts x numImages, H, W, 3]; borrowed. Default: drawn from `noise`. */
  latents?: tf.Tensor4D;
  /** Where random numbers come from, default `keyedNoise(seed)`. */
  noise?: NoiseSource;
  /**
   * Look at every layer's output, and let the first that is NaN or infinite throw a NonFiniteLayerError that names the
   * step and the layer. Slow; default false, which costs nothing.
   */
  debug?: boolean;
  /** Ends the work between two steps, with the signal's reason. */
  signal?: AbortSignal;
  /** Called after every step; the step's tensors are lent for the call. */
  onStep?: (step: TextToImageStep) => void;
}

const NAMES: OptionNames<TextToImageOptions> = {
  prompt: true,
  negativePrompt: true,
  numInferenceSteps: true,
  guidanceScale: true,
  guidanceRescale: true,
  seed: true,
  numImages: true,
  scheduler: true,
  latents: true,
  noise: true,
  debug: true,
  signal: true,
  onStep: true,
};

/** The numbers and words of {@link TextToImageOptions}, checked, with their defaults. */
export interface CheckedOptions {
  prompts: string[];
  /** One, or as many as there are prompts. */
  negativePrompts: string[];
  steps: number;
  guidanceScale: number;
  guidanceRescale: number;
  seed: number;
  numImages: number;
  /** Of the start, [prompts x numImages, H, W, C]. */
  shape: [number, number, number, number];
}

/**
 * Fills in the defaults.
 *
 * @param picture the height, width and channels that the network was trained on
 * @throws PipelineOptionError for what is out of its range, naming the range
 */
export function checkOptions(options: TextToImageOptions, picture: [number, number, number]): CheckedOptions {
  requireKnownOptions(options, NAMES);
  const {
    negativePrompt = "",
    numInferenceSteps = 20,
    guidanceScale = 3,
    guidanceRescale = 0,
    seed = 0,
    numImages = 1,
  } = options;
  const prompts = texts("prompt", options.prompt);
  const negativePrompts = negativesFor(prompts.length, negativePrompt);
  requireWhole("numInferenceSteps", numInferenceSteps, 1);
  requireWhole("numImages", numImages, 1);
  requireWhole("seed", seed, 0);
  requireOption(
    Number.isFinite(guidanceScale),
    "guidanceScale",
    guidanceScale,
    "a finite number (1 or less: no guidance)",
  );
  requireBetween("guidanceRescale", guidanceRescale, 0, 1);

  const batch = prompts.length * numImages;
  const { latents } = options;
  requireTensors({ latents });
  const channels = picture[2];
  if (latents && (latents.rank !== 4 || latents.shape[0] !== batch || latents.shape[3] !== channels)) {
    throw new PipelineOptionError(
      `latents: [${latents.shape.join(", ")}]; expected [${batch}, height, width, ${channels}], a row for each of ` +
        `${prompts.length} prompts x ${numImages} images.`,
    );
  }
  const shape = latents?.shape ?? ([batch, ...picture] as CheckedOptions["shape"]);
  return { prompts, negativePrompts, steps: numInferenceSteps, guidanceScale, guidanceRescale, seed, numImages, shape };
}
