import type * as tf from "@tensorflow/tfjs";
import type { PipelineStep } from "../pipeline-step.js";
import { COMMON_OPTIONS, type CommonOptions } from "../options/common-options.js";
import {
  between,
  finite,
  object,
  type OptionsOf,
  type ReadOptions,
  refused,
  tensor,
  whole,
  withDefaults,
} from "../options/option.js";
import { requireOption, requireTensor } from "../options/option-checks.js";
import { readOptions } from "../options/read-options.js";
import {
  checkedNegatives,
  checkedPrompts,
  PROMPT_OPTIONS,
  type PromptOptions,
  requirePictureShape,
  STABLE_DIFFUSION_OPTIONS,
  withAllAxes,
} from "../stable-diffusion/stable-diffusion-options.js";

/** One step of DiffEdit: `latents`, `output` and `x0` are [B, h, w, C]. */
export type DiffEditStep = PipelineStep;

/** The options that all stages share. `numInferenceSteps` is 50 and `guidanceScale` 7.5 by default. */
export type DiffEditSettings = Pick<
  CommonOptions,
  "numInferenceSteps" | "guidanceScale" | "seed" | "noise" | "debug" | "signal"
>;

/** Further options of `generateMask`. */
const MASK_OPTIONS = {
  /** Number of different noises whose differences are averaged, default 10, at most 1,000. */
  numMapsPerMask: whole(1, { default: 10, most: 1000 }),
  /** How much noise to add to the picture before it is compared, 0 to 1, default 0.5. */
  maskEncodeStrength: between(0, 1, { default: 0.5 }),
  /** The mask holds what differs by more than half of this ratio times the mean difference, default 3. */
  maskThresholdingRatio: finite("a number above 0", { default: 3 }),
};

/** The options of `generateMask`. */
export interface DiffEditMaskOptions
  extends DiffEditSettings, OptionsOf<typeof MASK_OPTIONS>, Pick<CommonOptions, "scheduler"> {
  /** [H, W, 3] or [N, H, W, 3] in [0, 1], N the number of target prompts or 1; borrowed. */
  image: tf.Tensor3D | tf.Tensor4D;
  /** Prompts that describe the pictures. */
  source: PromptOptions;
  /** Prompts that describe the edited pictures. */
  target: PromptOptions;
}

/** The options of `invert`. */
export interface DiffEditInvertOptions
  extends DiffEditSettings, PromptOptions, Pick<CommonOptions<DiffEditStep>, "onStep"> {
  /** [H, W, 3] or [N, H, W, 3] in [0, 1], N the number of prompts or 1; borrowed. The prompts describe the pictures. */
  image: tf.Tensor3D | tf.Tensor4D;
  /** The share of the way to noise to go, 0 to 1, default 0.8. */
  strength?: number;
}

/** The options of `generate` and `steps`. */
export interface DiffEditOptions
  extends DiffEditSettings, PromptOptions, Pick<CommonOptions<DiffEditStep>, "onStep" | "numImages" | "scheduler"> {
  /**
   * The region to change, [h, w], [N, h, w] with N > 1, or [N, h, w, 1] in [0, 1], one value for each latent. Values of
   * 0.5 and more are changed. Borrowed.
   */
  mask: tf.Tensor2D | tf.Tensor3D | tf.Tensor4D;
  /** The result of `invert`: latents [N, h, w, C], the noisiest first; borrowed. */
  imageLatents: readonly tf.Tensor4D[];
  /** The `strength` that `invert` was called with, default 0.8. */
  strength?: number;
  /** Share of DDIM's noise, 0 to 1, default 0. */
  eta?: number;
}

const { strength, eta } = STABLE_DIFFUSION_OPTIONS;
const NOT_MIRRORED = "inversion needs evenly spaced steps; give numInferenceSteps, the same for all stages";
const SIZE = "the result has the size of image; resize image instead";

/** Common options that DiffEdit cannot take. */
const REFUSED = {
  timesteps: refused(NOT_MIRRORED),
  sigmas: refused(NOT_MIRRORED),
  latents: refused("generation starts from the result of invert; give it as imageLatents"),
  width: refused(SIZE),
  height: refused(SIZE),
};

/** The options of all stages. Each stage accepts the options of the others, so that one object can serve all three. */
export const DIFF_EDIT_OPTIONS = withDefaults(
  {
    ...COMMON_OPTIONS,
    ...REFUSED,
    ...PROMPT_OPTIONS,
    strength,
    eta,
    ...MASK_OPTIONS,
    image: tensor<tf.Tensor3D | tf.Tensor4D>(),
    mask: tensor<tf.Tensor2D | tf.Tensor3D | tf.Tensor4D>(),
    imageLatents: object<readonly tf.Tensor4D[]>("the latents that invert gave"),
    source: object<PromptOptions>('prompts, such as { prompt: "a cat" }'),
    target: object<PromptOptions>('prompts, such as { prompt: "a dog" }'),
  },
  { numInferenceSteps: 50, guidanceScale: 7.5, strength: 0.8 },
);

/** The options of a stage with their defaults, each checked on its own. */
export type ReadDiffEdit = ReadOptions<typeof DIFF_EDIT_OPTIONS>;

/** @throws PipelineOptionError */
export function readDiffEdit(given: object): ReadDiffEdit {
  const options = readOptions(given, DIFF_EDIT_OPTIONS);
  const { maskThresholdingRatio: ratio } = options;
  requireOption(ratio > 0, "maskThresholdingRatio", ratio, "a number above 0");
  return options;
}

/** Sizes that the pipeline's networks fix. */
export interface DiffEditSizes {
  factor: number;
  latentChannels: number;
  textWidth: number;
  textTokens: number;
}

/** Checked prompts. */
export interface CheckedPrompts {
  prompts: string[] | tf.Tensor3D;
  negatives: string[] | tf.Tensor3D;
  count: number;
}

/** @throws PipelineOptionError */
export function checkPrompts(given: PromptOptions, sizes: DiffEditSizes): CheckedPrompts {
  const prompts = checkedPrompts(given, sizes);
  const count = Array.isArray(prompts) ? prompts.length : prompts.shape[0];
  return { prompts, negatives: checkedNegatives(given, count, sizes), count };
}

/**
 * The pictures as [count, H, W, 3], one for each prompt; the caller owns them.
 *
 * @throws PipelineOptionError
 */
export function checkPictures(image: tf.Tensor, count: number, { factor }: DiffEditSizes): tf.Tensor4D {
  requireTensor("image", image);
  const [height = 0, width = 0] = image.shape.slice(-3);
  const fits = (side: number) => side > 0 && side % factor === 0;
  requireOption(
    image.rank >= 3 && fits(height) && fits(width),
    "image",
    `[${image.shape.join(", ")}]`,
    `[N, H, W, 3] with sides of a multiple of ${factor} pixels; cut or resize the picture`,
  );
  requirePictureShape("image", image, [height, width, 3], count);
  return inRows(withAllAxes(image, [height, width, 3]), count);
}

/** The mask as [count, h, w, 1] of 0 and 1; the caller owns it. */
export function checkMask(mask: tf.Tensor, count: number, like: tf.Tensor4D): tf.Tensor4D {
  requireTensor("mask", mask);
  const [, height, width] = like.shape;
  const isOneForEach = mask.rank === 3 && mask.shape[0] === count && count > 1;
  const spread = isOneForEach ? mask.expandDims(3) : mask.clone();
  try {
    requirePictureShape("mask", spread, [height, width, 1], count);
    return inRows(withAllAxes(spread, [height, width, 1]), count);
  } finally {
    spread.dispose();
  }
}

/** @throws PipelineOptionError unless this is a list of latents of the right shape */
export function checkImageLatents(latents: readonly tf.Tensor4D[], count: number, sizes: DiffEditSizes): void {
  const isList: boolean = Array.isArray(latents);
  requireOption(isList, "imageLatents", latents, "the latents that invert gave");
  const [first] = latents;
  requireOption(first !== undefined, "imageLatents", "an empty list", "the latents that invert gave");
  for (const x of latents) requireTensor("imageLatents", x);
  const fits = ({ shape, rank }: tf.Tensor) =>
    rank === 4 && shape[0] === count && shape[3] === sizes.latentChannels && shape.join() === first.shape.join();
  const wrong = latents.find((x) => !fits(x));
  const expected = `[${count}, h, w, ${sizes.latentChannels}], a row for each prompt, the same for all steps`;
  if (wrong) requireOption(false, "imageLatents", `[${wrong.shape.join(", ")}]`, expected);
}

/** Repeats a single row `count` times. Disposes of its argument. */
function inRows(x: tf.Tensor4D, count: number): tf.Tensor4D {
  if (x.shape[0] === count) return x;
  const rows = x.tile<tf.Tensor4D>([count, 1, 1, 1]);
  x.dispose();
  return rows;
}
