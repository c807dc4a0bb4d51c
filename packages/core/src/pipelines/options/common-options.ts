import type * as tf from "@tensorflow/tfjs";
import type { NoiseSource, PlanRequest, Scheduler } from "@tfjs-diffusion/schedulers";
import type { PipelineStep } from "../pipeline-step.js";
import { PipelineOptionError } from "./errors.js";
import {
  between,
  boolean,
  callback,
  finite,
  numbers,
  type OptionsOf,
  tensor,
  text,
  whole,
  withMethod,
} from "./option.js";

/** The options of every pipeline, with the same meaning in all of them. */
export const COMMON_OPTIONS = {
  /** Steps of the sampler; most samplers call the network once a step. Default: the pipeline's own. */
  numInferenceSteps: whole(1, {
    flag: { usage: "--steps N", help: "steps from noise to picture", most: 1000 },
  }),
  /**
   * In place of `numInferenceSteps`: the timesteps to visit, in descending order, such as those of `alignYourSteps`.
   */
  timesteps: numbers({
    flag: { usage: "--timesteps N,N,…", help: "in place of --steps: the timesteps to visit, falling" },
  }),
  /** In place of `numInferenceSteps`: the noise levels to visit, in descending order, and the last level, usually 0. */
  sigmas: numbers({
    flag: { usage: "--sigmas N,N,…", help: "in place of --steps: the noise levels to visit, falling to 0" },
  }),
  /** How strongly to follow the prompt or class; at 1 or below guidance is off and a step costs half. */
  guidanceScale: finite("a finite number (1 or less: no guidance)", {
    flag: {
      usage: "--guidance N",
      help: "how strongly to follow the prompt; 1 or less is not at all, and twice as fast",
    },
  }),
  /** The same seed draws the same pictures on every backend, except for rounding. Default 0, a seed like any other. */
  seed: whole(0, {
    default: 0,
    // The command line draws up to 1000 pictures, each with the next seed.
    flag: { usage: "--seed N", help: "the same seed draws the same picture", most: Number.MAX_SAFE_INTEGER - 1000 },
  }),
  /** Where random numbers come from. Default `keyedNoise(seed)`. */
  noise: withMethod<NoiseSource>("normal", "a source of noise, such as keyedNoise(0) gives"),
  /** Standard normal noise to start from, [B, height, width, channels] of the samples; borrowed. */
  latents: tensor<tf.Tensor4D>(),
  /** A scheduler to use in place of the pipeline's own. */
  scheduler: withMethod<Scheduler>("plan", "a scheduler, such as schedulerFromConfig gives"),
  /** In pixels. Default: what the networks were trained on. */
  width: whole(1, { flag: { usage: "--width N", help: "in pixels", most: 16_384 } }),
  /** In pixels. Default: what the networks were trained on. */
  height: whole(1, { flag: { usage: "--height N", help: "in pixels", most: 16_384 } }),
  /** Pictures of each prompt, default 1; they follow each other in the result. */
  numImages: whole(1, {
    default: 1,
    flag: { usage: "--count N", help: "pictures of each prompt", most: 1000 },
  }),
  /**
   * Check every layer's output, and throw a NonFiniteLayerError at the first NaN or infinity, naming the step and the
   * layer. Slow; default false, which costs nothing.
   */
  debug: boolean({ default: false }),
  /** Stops the work between two steps and throws the signal's reason. */
  signal: withMethod<AbortSignal>("throwIfAborted", "an AbortSignal"),
  /** Called after every step; see {@link CommonOptions}. */
  onStep: callback<(step: never) => unknown>(),
};

/** The options of every pipeline; most pipelines have more. */
export interface CommonOptions<Step = PipelineStep<tf.Tensor>> extends OptionsOf<typeof COMMON_OPTIONS> {
  /**
   * Called after every step. It may be asynchronous: the next step waits for it. An error that it throws ends the
   * drawing. The step's tensors are borrowed, and valid until it returns.
   */
  onStep?: (step: Step) => unknown;
}

/** Further options of every pipeline that draws from a text. */
export const TEXT_OPTIONS = {
  /** What to draw; several prompts are drawn in one batch. */
  prompt: text(),
  /** What the picture should not show, one for all prompts or one for each. Default "". */
  negativePrompt: text({ flag: { usage: "--negative TEXT", help: "what to draw away from" } }),
};

/** The options of every pipeline that draws from a text. */
export interface TextOptions<Step = PipelineStep<tf.Tensor>>
  extends CommonOptions<Step>, OptionsOf<typeof TEXT_OPTIONS> {}

/** An option of Stable Diffusion and the pipelines in pixel space. */
export const GUIDANCE_RESCALE = {
  /** 0 to 1, default 0: how much of the contrast added by guidance is removed (Lin et al. 2024). */
  guidanceRescale: between(0, 1, {
    default: 0,
    flag: { usage: "--rescale N", help: "0 to 1: takes back contrast that strong guidance adds" },
  }),
};

/**
 * Which steps to plan.
 *
 * @param given the options before defaults were filled in
 * @throws PipelineOptionError unless at most one of `numInferenceSteps`, `timesteps` and `sigmas` is given
 */
export function requestedSteps(given: CommonOptions<never>, defaultSteps: number): PlanRequest {
  const { numInferenceSteps, timesteps, sigmas } = given;
  const named = Object.entries({ numInferenceSteps, timesteps, sigmas }).filter(([, value]) => value !== undefined);
  if (named.length > 1) {
    const names = named.map(([name]) => name).join(", ");
    throw new PipelineOptionError(`${names}: ${named.length} are given; give one of them.`);
  }
  if (timesteps) return { timesteps };
  return sigmas ? { sigmas } : (numInferenceSteps ?? defaultSteps);
}
