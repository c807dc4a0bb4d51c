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

/** What all stages take. `numInferenceSteps` is 50 and `guidanceScale` 7.5 by default. */
export type DiffEditSettings = Pick<
  CommonOptions,
  "numInferenceSteps" | "guidanceScale" | "seed" | "noise" | "debug" | "signal"
>;

/** What the mask is found by. */
const MASK_OPTIONS = {
  /** Pairs of answers, each to noise of its own, that are averaged, default 10. */
  numMapsPerMask: whole(1, { default: 10 }),
  /** How much noise to look through, 0 to 1, default 0.5. */
  maskEncodeStrength: between(0, 1, { default: 0.5 }),
  /** What differs by half of so many times the mean is in the mask, default 3. */
  maskThresholdingRatio: finite("a number above 0", { default: 3 }),
};

/** What to look for in pictures. */
export interface DiffEditMaskOptions
  extends DiffEditSettings, OptionsOf<typeof MASK_OPTIONS>, Pick<CommonOptions, "scheduler"> {
  /** [H, W, 3] or [N, H, W, 3] in [0, 1], N the number of target prompts or 1; borrowed. */
  image: tf.Tensor3D | tf.Tensor4D;
  /** What the pictures show. */
  source: PromptOptions;
  /** What they shall show. */
  target: PromptOptions;
}

/** How to find the noise that pictures would be drawn from. */
export interface DiffEditInvertOptions
  extends DiffEditSettings, PromptOptions, Pick<CommonOptions<DiffEditStep>, "onStep"> {
  /** As for the mask; the prompts say what the pictures show. */
  image: tf.Tensor3D | tf.Tensor4D;
  /** How far to go back to noise, 0 to 1, default 0.8. */
  strength?: number;
}

/** What to draw into pictures. */
export interface DiffEditOptions
  extends DiffEditSettings, PromptOptions, Pick<CommonOptions<DiffEditStep>, "onStep" | "numImages" | "scheduler"> {
  /**
   * What to change, [h, w], [N, h, w] with N > 1, or [N, h, w, 1] in [0, 1], one value a latent: from 0.5 on is drawn
   * anew; borrowed.
   */
  mask: tf.Tensor2D | tf.Tensor3D | tf.Tensor4D;
  /** What {@link DiffEditInvertOptions} gave, the noisiest first, each [N, h, w, C]; borrowed. */
  imageLatents: readonly tf.Tensor4D[];
  /** That of the inversion, default 0.8. */
  strength?: number;
  /** Share of DDIM's noise, 0 to 1, default 0. */
  eta?: number;
}

const { strength, eta } = STABLE_DIFFUSION_OPTIONS;
const NOT_MIRRORED = "inversion takes evenly spaced steps only; give numInferenceSteps, the same in all stages";
const SIZE = "the edited picture has the size of image; resize that";

/** Common options that DiffEdit cannot take. */
const REFUSED = {
  timesteps: refused(NOT_MIRRORED),
  sigmas: refused(NOT_MIRRORED),
  latents: refused("drawing starts from the noise that invert found; give imageLatents"),
  width: refused(SIZE),
  height: refused(SIZE),
};

/** What the stages take: each may be given the settings of all. */
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

/** The options of a stage, each checked by itself, with their defaults. */
export type ReadDiffEdit = ReadOptions<typeof DIFF_EDIT_OPTIONS>;

/** @throws PipelineOptionError */
export function readDiffEdit(given: object): ReadDiffEdit {
  const options = readOptions(given, DIFF_EDIT_OPTIONS);
  const { maskThresholdingRatio: ratio } = options;
  requireOption(ratio > 0, "maskThresholdingRatio", ratio, "a number above 0");
  return options;
}

/** Sizes of the latent space. */
export interface DiffEditSizes {
  factor: number;
  latentChannels: number;
  textWidth: number;
  textTokens: number;
}

/** Prompts that are checked. */
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
 * A row for each of `count` prompts, which the caller owns.
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

/** The mask of each latent, 0 or 1, [count, h, w, 1], which the caller owns. */
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

/** @throws PipelineOptionError unless there is a picture of latents for each step */
export function checkImageLatents(latents: readonly tf.Tensor4D[], count: number, sizes: DiffEditSizes): void {
  const isList: boolean = Array.isArray(latents);
  requireOption(isList, "imageLatents", latents, "the latents that invert gave");
  const [first] = latents;
  requireOption(first !== undefined, "imageLatents", "an empty list", "the latents that invert gave");
  for (const x of latents) requireTensor("imageLatents", x);
  const fits = ({ shape, rank }: tf.Tensor) =>
    rank === 4 && shape[0] === count && shape[3] === sizes.latentChannels && shape.join() === first.shape.join();
  const wrong = latents.find((x) => !fits(x));
  const expected = `[${count}, h, w, ${sizes.latentChannels}], a row for each prompt, in all steps alike`;
  if (wrong) requireOption(false, "imageLatents", `[${wrong.shape.join(", ")}]`, expected);
}

/** One row for all becomes a row for each. Disposes of its argument. */
function inRows(x: tf.Tensor4D, count: number): tf.Tensor4D {
  if (x.shape[0] === count) return x;
  const rows = x.tile<tf.Tensor4D>([count, 1, 1, 1]);
  x.dispose();
  return rows;
}
