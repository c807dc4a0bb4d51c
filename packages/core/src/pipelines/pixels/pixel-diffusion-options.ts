import type * as tf from "@tensorflow/tfjs";
import type { PlanRequest } from "@tfjs-diffusion/schedulers";
import {
  COMMON_OPTIONS,
  GUIDANCE_RESCALE,
  requestedSteps,
  TEXT_OPTIONS,
  type TextOptions,
} from "../options/common-options.js";
import { type OptionsOf, type ReadOptions, withDefaults } from "../options/option.js";
import { negativesFor, requireCount, texts } from "../options/option-checks.js";
import { readOptions } from "../options/read-options.js";
import type { PipelineStep } from "../pipeline-step.js";
import { sampleShape } from "./sample-shape.js";

/** All options of {@link PixelDiffusionPipeline}. */
export const PIXEL_DIFFUSION_OPTIONS = withDefaults(
  { ...COMMON_OPTIONS, ...TEXT_OPTIONS, ...GUIDANCE_RESCALE },
  { numInferenceSteps: 20, guidanceScale: 3 },
);

/** One step in pixel space: `latents` are the pictures with their remaining noise, [B, H, W, 3], roughly in [-1, 1]. */
export type PixelDiffusionStep = PipelineStep<tf.Tensor4D>;

/**
 * What to draw, and how. `numInferenceSteps` is 20 and `guidanceScale` 3 by default; `width` and `height` can have any
 * value. By default they are those of the `latents`, or of the training.
 */
export interface PixelDiffusionOptions extends TextOptions<PixelDiffusionStep>, OptionsOf<typeof GUIDANCE_RESCALE> {}

/** {@link PixelDiffusionOptions}, checked, with their defaults. */
export interface CheckedPixelOptions extends ReadOptions<typeof PIXEL_DIFFUSION_OPTIONS> {
  prompts: string[];
  /** One negative prompt, or one for each prompt. */
  negatives: string[];
  steps: PlanRequest;
  /** Shape of the initial noise, [prompts x numImages, H, W, C]. */
  shape: [number, number, number, number];
}

/**
 * Fills in the defaults.
 *
 * @param picture the height, width and channels that the network was trained on
 * @throws PipelineOptionError for an option that is out of range, naming the range
 */
export function checkOptions(given: PixelDiffusionOptions, picture: [number, number, number]): CheckedPixelOptions {
  const options = readOptions(given, PIXEL_DIFFUSION_OPTIONS);
  const { numImages, negativePrompt = "" } = options;
  const prompts = texts("prompt", options.prompt!);
  const negatives = negativesFor(prompts.length, negativePrompt);
  const steps = requestedSteps(given, options.numInferenceSteps);
  requireCount(prompts.length, numImages);
  const shape = sampleShape(options, prompts.length * numImages, picture);
  return { ...options, prompts, negatives, steps, shape };
}
