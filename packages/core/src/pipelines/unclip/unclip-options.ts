import type * as tf from "@tensorflow/tfjs";
import type { PlanRequest } from "@tfjs-diffusion/schedulers";
import {
  COMMON_OPTIONS,
  type CommonOptions,
  requestedSteps,
  TEXT_OPTIONS,
  type TextOptions,
} from "../options/common-options.js";
import { PipelineOptionError } from "../options/errors.js";
import {
  finite,
  object,
  type OptionsOf,
  type ReadOptions,
  refused,
  synonym,
  tensor,
  whole,
  withDefaults,
} from "../options/option.js";
import { negativesFor, requireCount, requireOption, requireTensor, texts } from "../options/option-checks.js";
import { readOptions } from "../options/read-options.js";
import type { PipelineStep } from "../pipeline-step.js";
import type { UnCLIPSizes } from "./unclip-parts.js";
import type { TextStates } from "./unclip-text.js";

/**
 * The stages of unCLIP: the prior makes an image embedding, the decoder a small picture, super-resolution a large one.
 */
export type UnCLIPStage = "prior" | "decoder" | "superResolution";

/**
 * One step of unCLIP. `index` and `total` count over all stages; `latents`, `output` and `x0` are embeddings [B, D] in
 * the prior and then pictures [B, h, w, 3] about [-1, 1]; the preview is grey until there is a picture.
 */
export interface UnCLIPStep extends PipelineStep<tf.Tensor> {
  readonly stage: UnCLIPStage;
}

/**
 * The options of both unCLIP pipelines besides the common ones. The common options belong to the decoder:
 * `numInferenceSteps`, `timesteps`, `guidanceScale`, `scheduler` and `latents` ([B, h, w, 3] of its small pictures).
 */
const DRAWING_OPTIONS = {
  /**
   * Steps of super-resolution, which enlarges the decoder's picture, default 7; the last one uses a separate network.
   */
  superResNumInferenceSteps: whole(1, {
    default: 7,
    flag: { usage: "--super-res-steps N", help: "unCLIP: steps of super-resolution", most: 1000 },
  }),
  /** Standard normal noise for super-resolution to start from, [B, H, W, 3]; borrowed. */
  superResLatents: tensor<tf.Tensor4D>(),
  /** An older name for `numInferenceSteps`. */
  decoderNumInferenceSteps: synonym("numInferenceSteps", COMMON_OPTIONS.numInferenceSteps),
  /** An older name for `guidanceScale`. */
  decoderGuidanceScale: synonym("guidanceScale", COMMON_OPTIONS.guidanceScale),
  /** An older name for `latents`. */
  decoderLatents: synonym("latents", COMMON_OPTIONS.latents),
};

const textStates = object<TextStates>("text states, as encodePrompts returns them");

/** Further options of UnCLIPPipeline. */
const PRIOR_OPTIONS = {
  /** In place of prompts: the result of `pipeline.encodePrompts(prompts)`; borrowed. */
  promptEmbeds: textStates,
  /** An older name for `promptEmbeds`. */
  textStates: synonym("promptEmbeds", textStates),
  /** Steps of the prior, which makes an image embedding from the text, default 25. */
  priorNumInferenceSteps: whole(1, {
    default: 25,
    flag: { usage: "--prior-steps N", help: "unCLIP: steps from the prompt to an image embedding", most: 1000 },
  }),
  /**
   * How strongly the prior follows the prompt, default 4. If both scales are 1 or less, guidance is off and a step
   * costs half.
   */
  priorGuidanceScale: finite("a finite number (1 or less: no guidance)", {
    default: 4,
    flag: {
      usage: "--prior-guidance N",
      help: "unCLIP: --guidance of the prior; guidance is off if both are 1 or less",
    },
  }),
  /** Standard normal noise for the prior to start from, [B, D]; borrowed. */
  priorLatents: tensor<tf.Tensor2D>(),
};

/** Further options of UnCLIPImageVariationPipeline. */
const VARIATION_OPTIONS = {
  /** Pictures to vary, [H, W, 3] or [N, H, W, 3] in [0, 1]; borrowed. */
  image: tensor<tf.Tensor3D | tf.Tensor4D>(),
  /** In place of pictures: their embeddings, [N, D], from `pipeline.imageEmbeddings(images)`; borrowed. */
  imageEmbeddings: tensor<tf.Tensor2D>(),
};

const DECODER_DEFAULTS = { numInferenceSteps: 25, guidanceScale: 8 };
const NO_TEXT = "this pipeline draws from a picture and reads no text; give image or imageEmbeddings";

/** All options of UnCLIPPipeline. */
export const UNCLIP_OPTIONS = withDefaults(
  { ...COMMON_OPTIONS, ...TEXT_OPTIONS, ...DRAWING_OPTIONS, ...PRIOR_OPTIONS },
  DECODER_DEFAULTS,
);

/** All options of UnCLIPImageVariationPipeline. */
export const UNCLIP_IMAGE_VARIATION_OPTIONS = withDefaults(
  {
    ...COMMON_OPTIONS,
    prompt: refused(NO_TEXT),
    negativePrompt: refused(NO_TEXT),
    ...DRAWING_OPTIONS,
    ...VARIATION_OPTIONS,
  },
  DECODER_DEFAULTS,
);

/** How unCLIP makes pictures from image embeddings. `numInferenceSteps` is 25 and `guidanceScale` 8 by default. */
export interface UnCLIPDrawingOptions extends CommonOptions<UnCLIPStep>, OptionsOf<typeof DRAWING_OPTIONS> {}

/** What UnCLIPPipeline draws, and how. */
export interface UnCLIPOptions
  extends
    UnCLIPDrawingOptions,
    Pick<TextOptions<UnCLIPStep>, keyof typeof TEXT_OPTIONS>,
    OptionsOf<typeof PRIOR_OPTIONS> {}

/** What UnCLIPImageVariationPipeline draws, and how. */
export interface UnCLIPImageVariationOptions extends UnCLIPDrawingOptions, OptionsOf<typeof VARIATION_OPTIONS> {}

/** The checked options of both pipelines. */
export interface CheckedDrawing {
  /** Total number of pictures. */
  batch: number;
  steps: PlanRequest;
  /** The name of the option that gave the number of steps. */
  stepsOption: string;
}

type Given = ReadOptions<typeof UNCLIP_OPTIONS> | ReadOptions<typeof UNCLIP_IMAGE_VARIATION_OPTIONS>;

/** @throws PipelineOptionError for an option that does not fit the networks */
function checkDrawing(given: UnCLIPDrawingOptions, options: Given, rows: number, sizes: UnCLIPSizes): CheckedDrawing {
  const { numImages, numInferenceSteps, latents, superResLatents } = options;
  const { decoderNumInferenceSteps, timesteps, sigmas } = given;
  const stepsOption = decoderNumInferenceSteps === undefined ? "numInferenceSteps" : "decoderNumInferenceSteps";
  const asked = { numInferenceSteps: given.numInferenceSteps ?? decoderNumInferenceSteps, timesteps, sigmas };
  const steps = requestedSteps(asked, numInferenceSteps, stepsOption);
  requireSize(options, sizes);
  requireCount(rows, numImages);
  const batch = rows * numImages;
  requireShape(given.decoderLatents ? "decoderLatents" : "latents", latents, [batch, ...sizes.small]);
  requireShape("superResLatents", superResLatents, [batch, ...sizes.large]);
  return { batch, steps, stepsOption };
}

/** The super-resolution networks can only draw the size of their training. */
function requireSize({ width, height }: Given, { large: [trainedHeight, trainedWidth] }: UnCLIPSizes): void {
  for (const [option, value, trained] of [
    ["width", width, trainedWidth],
    ["height", height, trainedHeight],
  ] as const) {
    const fits = value === undefined || value === trained;
    requireOption(fits, option, value, `${trained}, the only size of this model; resize the result`);
  }
}

/** {@link UnCLIPOptions}, checked, with their defaults. */
export type CheckedUnCLIP = ReadOptions<typeof UNCLIP_OPTIONS> &
  CheckedDrawing & { text: string[] | TextStates; negatives: string[] };

/**
 * @param tokens number of text tokens that the prior takes
 * @throws PipelineOptionError
 */
export function checkUnCLIP(given: UnCLIPOptions, sizes: UnCLIPSizes, tokens: number): CheckedUnCLIP {
  const options = readOptions(given, UNCLIP_OPTIONS);
  const { prompt, promptEmbeds, priorLatents, negativePrompt = "" } = options;
  requireOneOf({ prompt, promptEmbeds });
  const text = promptEmbeds ?? texts("prompt", prompt!);
  if (promptEmbeds) {
    const name = given.promptEmbeds ? "promptEmbeds" : "textStates";
    const { textEmbeds, hiddenStates, attentionMask } = promptEmbeds;
    requireTensor(`${name}.hiddenStates`, hiddenStates);
    requireTensor(`${name}.attentionMask`, attentionMask);
    requireRows(`${name}.textEmbeds`, textEmbeds, [sizes.width]);
    const [rows] = textEmbeds.shape;
    requireShape(`${name}.hiddenStates`, hiddenStates, [rows, tokens, sizes.width]);
    requireShape(`${name}.attentionMask`, attentionMask, [rows, tokens], "any");
  }
  const count = Array.isArray(text) ? text.length : text.textEmbeds.shape[0];
  const drawing = checkDrawing(given, options, count, sizes);
  requireShape("priorLatents", priorLatents, [drawing.batch, sizes.width]);
  return { ...options, ...drawing, text, negatives: negativesFor(count, negativePrompt) };
}

/** {@link UnCLIPImageVariationOptions}, checked, with their defaults. */
export type CheckedVariation = ReadOptions<typeof UNCLIP_IMAGE_VARIATION_OPTIONS> & CheckedDrawing;

/** @throws PipelineOptionError */
export function checkVariation(given: UnCLIPImageVariationOptions, sizes: UnCLIPSizes): CheckedVariation {
  const options = readOptions(given, UNCLIP_IMAGE_VARIATION_OPTIONS);
  const { image, imageEmbeddings } = options;
  requireOneOf({ image, imageEmbeddings });
  if (image !== undefined) requirePictureShape("image", image);
  if (imageEmbeddings !== undefined) requireRows("imageEmbeddings", imageEmbeddings, [sizes.width]);
  const rows = imageEmbeddings ? imageEmbeddings.shape[0] : image!.rank === 4 ? image!.shape[0] : 1;
  return { ...options, ...checkDrawing(given, options, rows, sizes) };
}

/** @throws PipelineOptionError unless the shape is [H, W, 3] or [N, H, W, 3] */
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

function requireRows(option: string, given: tf.Tensor, row: number[]): void {
  requireTensor(option, given);
  const { shape } = given;
  const fits = shape.length === row.length + 1 && shape[0] > 0 && shape.slice(1).join() === row.join();
  requireOption(fits, option, `[${shape.join(", ")}]`, `[rows, ${row.join(", ")}]`);
  requireOption(given.dtype === "float32", option, given.dtype, "float32");
}

function requireShape(
  option: string,
  given: tf.Tensor | undefined,
  shape: number[],
  dtype: "float32" | "any" = "float32",
): void {
  if (given === undefined) return;
  requireTensor(option, given);
  requireOption(given.shape.join() === shape.join(), option, `[${given.shape.join(", ")}]`, `[${shape.join(", ")}]`);
  requireOption(dtype === "any" || given.dtype === dtype, option, given.dtype, "float32");
}
