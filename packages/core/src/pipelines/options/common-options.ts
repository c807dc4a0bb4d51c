import type * as tf from "@tensorflow/tfjs";
import type { NoiseSource, PlanRequest } from "@tfjs-diffusion/schedulers";
import type { PipelineStep } from "../pipeline-step.js";
import { PipelineOptionError } from "./errors.js";
import {
  between,
  boolean,
  callback,
  finite,
  MOST_PICTURES,
  numbers,
  type OptionsOf,
  scheduler,
  tensor,
  text,
  whole,
  withMethod,
} from "./option.js";

/** The longest side of a picture, in pixels. */
const MOST_SIDE = 65_536;

/** The options of every pipeline, with the same meaning in all of them. */
export const COMMON_OPTIONS = {
  /** Steps of the sampler; most samplers call the network once a step. Default: the pipeline's own. */
  numInferenceSteps: whole(1, {
    most: 100_000,
    flag: { usage: "--steps N", help: "steps from noise to picture", most: 1000 },
  }),
  /**
   * In place of `numInferenceSteps`: the timesteps to visit, in descending order, such as those of `alignYourSteps`.
   */
  timesteps: numbers({
    flag: { usage: "--timesteps N,N,…", help: "instead of --steps: the timesteps to visit, in descending order" },
  }),
  /** In place of `numInferenceSteps`: the noise levels to visit, in descending order, and the last level, usually 0. */
  sigmas: numbers({
    flag: {
      usage: "--sigmas N,N,…",
      help: "instead of --steps: the noise levels in descending order, usually down to 0",
    },
  }),
  /** How strongly to follow the prompt or class; at 1 or less, guidance is off and a step costs half. */
  guidanceScale: finite("a finite number (1 or less: no guidance)", {
    flag: {
      usage: "--guidance N",
      help: "how strongly to follow the prompt or class; 1 or less: no guidance, and half the work",
    },
  }),
  /** The same seed draws the same pictures on every backend, except for rounding. Default 0, which is not special. */
  seed: whole(0, {
    default: 0,
    // The command line draws up to 1000 pictures, each with the next seed.
    flag: { usage: "--seed N", help: "the same seed draws the same picture", most: Number.MAX_SAFE_INTEGER - 1000 },
  }),
  /**
   * The source of random numbers, in place of `seed`, which is then not used. Default `keyedNoise(seed)`;
   * `torchNoise(7)` draws what diffusers draws after `manual_seed(7)`, on the CPU.
   */
  noise: withMethod<NoiseSource>("normal", "a source of noise, such as keyedNoise(0) gives"),
  /** Standard normal noise to start from, [B, height, width, channels] of the samples; borrowed. */
  latents: tensor<tf.Tensor4D>(),
  /** A scheduler to use in place of the pipeline's own. */
  scheduler: scheduler(),
  /** In pixels. Default: what the networks were trained on. */
  width: whole(1, { most: MOST_SIDE, flag: { usage: "--width N", help: "in pixels", most: 16_384 } }),
  /** In pixels. Default: what the networks were trained on. */
  height: whole(1, { most: MOST_SIDE, flag: { usage: "--height N", help: "in pixels", most: 16_384 } }),
  /** Number of pictures for each prompt, default 1; the pictures of a prompt are adjacent in the result. */
  numImages: whole(1, {
    default: 1,
    most: MOST_PICTURES,
    flag: { usage: "--count N", help: "pictures of each prompt or class", most: 1000 },
  }),
  /**
   * Most pictures that the networks take at once. A larger batch goes through them in slices, in each step, with the
   * same result in less memory. Default: as many as the memory certainly holds.
   */
  batchSize: whole(1, { most: MOST_PICTURES }),
  /**
   * Check every layer's output, and throw a NonFiniteLayerError at the first NaN or infinity, naming the step and the
   * layer. Slow. Default false, at no cost.
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
   * Called after every step. It may be asynchronous: the next step waits for it. If it throws, sampling ends with that
   * error. The step's tensors are borrowed, and valid until it returns.
   */
  onStep?: (step: Step) => unknown;
}

/** Further options of every pipeline that draws from text. */
export const TEXT_OPTIONS = {
  /** What to draw; several prompts are drawn in one batch. */
  prompt: text(),
  /** What the picture should not show, one for all prompts or one for each. Default "". */
  negativePrompt: text({ flag: { usage: "--negative TEXT", help: "what the picture should not show" } }),
};

/** The options of every pipeline that draws from text. */
export interface TextOptions<Step = PipelineStep<tf.Tensor>>
  extends CommonOptions<Step>, OptionsOf<typeof TEXT_OPTIONS> {}

/** An option of the latent pipelines and of PixelDiffusionPipeline. */
export const GUIDANCE_RESCALE = {
  /** 0 to 1, default 0: how far to reduce the contrast that guidance adds (Lin et al. 2024, section 3.4). */
  guidanceRescale: between(0, 1, {
    default: 0,
    flag: { usage: "--rescale N", help: "0 to 1: reduces the contrast that strong guidance adds" },
  }),
};

/**
 * The steps to plan: their number, the timesteps, or the noise levels.
 *
 * @param given the options before defaults were filled in
 * @param stepsName the name under which `numInferenceSteps` was given
 * @throws PipelineOptionError unless at most one of `numInferenceSteps`, `timesteps` and `sigmas` is given
 */
export function requestedSteps(
  given: Pick<CommonOptions<never>, "numInferenceSteps" | "timesteps" | "sigmas">,
  defaultSteps: number,
  stepsName = "numInferenceSteps",
): PlanRequest {
  const { numInferenceSteps, timesteps, sigmas } = given;
  const named = Object.entries({ [stepsName]: numInferenceSteps, timesteps, sigmas }).filter(
    ([, value]) => value !== undefined,
  );
  if (named.length > 1) {
    const names = named.map(([name]) => name).join(", ");
    throw new PipelineOptionError(`${names}: ${named.length} are given; give one of them.`);
  }
  // Plain lists, so that a sampler of one's own gets nothing else.
  if (timesteps) return { timesteps: Array.from(timesteps) };
  return sigmas ? { sigmas: Array.from(sigmas) } : (numInferenceSteps ?? defaultSteps);
}
