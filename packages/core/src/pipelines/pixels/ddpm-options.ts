import type * as tf from "@tensorflow/tfjs";
import type { PlanRequest } from "@tfjs-diffusion/schedulers";
import type { ClassLabels } from "../../models/denoiser.js";
import { COMMON_OPTIONS, type CommonOptions, GUIDANCE_RESCALE, requestedSteps } from "../options/common-options.js";
import { PipelineOptionError } from "../options/errors.js";
import { between, numbers, type OptionsOf, type ReadOptions, refused, whole, withDefaults } from "../options/option.js";
import { requireCount, requireOption } from "../options/option-checks.js";
import { readOptions } from "../options/read-options.js";
import type { PipelineStep } from "../pipeline-step.js";
import { shown } from "../options/shown.js";
import { sampleShape } from "./sample-shape.js";

/** Further options of these pipelines. */
const CLASS_OPTIONS = {
  /**
   * The class of each picture; `numImages` pictures are drawn of each. Needed by networks that were trained with
   * classes.
   */
  classLabels: numbers({
    flag: { usage: "--class N,N,…", help: "which class to draw, for networks with classes; several are drawn in turn" },
  }),
  /**
   * The class that meant "no class" in training, for guidance (Ho & Salimans 2022). Folders do not say whether there is
   * one. If a network has one class more than its data, it is usually the last.
   */
  nullClass: whole(0, {
    flag: { usage: "--null-class N", help: 'the class that meant "no class" in training; --guidance needs it' },
  }),
  /** Share of fresh noise, 0 to 1, for samplers with this setting (DDIM). Default 0. */
  eta: between(0, 1, { default: 0 }),
};

const NO_TEXT = "this pipeline reads no text";

/** All options of {@link DDPMPipeline}. */
export const DDPM_OPTIONS = withDefaults(
  {
    ...COMMON_OPTIONS,
    prompt: refused(NO_TEXT),
    negativePrompt: refused(NO_TEXT),
    ...GUIDANCE_RESCALE,
    ...CLASS_OPTIONS,
  },
  { numInferenceSteps: 1000, guidanceScale: 1 },
);

/** All options of {@link DDIMPipeline}. */
export const DDIM_OPTIONS = withDefaults(DDPM_OPTIONS, { numInferenceSteps: 50 });

/** One step: `latents` are the pictures with their remaining noise, [B, H, W, C], roughly in [-1, 1]. */
export type DDPMStep = PipelineStep<tf.Tensor4D>;

/**
 * What to draw, and how. By default `numInferenceSteps` is 1000 (50 for a DDIMPipeline), and `guidanceScale` is 1: no
 * guidance.
 */
export interface DDPMOptions
  extends CommonOptions<DDPMStep>, OptionsOf<typeof GUIDANCE_RESCALE>, OptionsOf<typeof CLASS_OPTIONS> {}

/** {@link DDPMOptions}, checked, with their defaults. */
export interface CheckedDDPM extends ReadOptions<typeof DDPM_OPTIONS> {
  /** One class for each picture; undefined for networks without classes. */
  labels: number[] | undefined;
  isGuided: boolean;
  steps: PlanRequest;
  /** Shape of the initial noise, [B, H, W, C]. */
  shape: [number, number, number, number];
}

/** The properties of the network that the checks use. */
export interface DDPMNetwork {
  /** Height, width and channels of the pictures it was trained on. */
  picture: [number, number, number];
  classLabels: ClassLabels | undefined;
}

/** @throws PipelineOptionError for an option that is out of range or does not fit the network */
export function checkDDPM(
  given: DDPMOptions,
  table: typeof DDPM_OPTIONS,
  { picture, classLabels }: DDPMNetwork,
): CheckedDDPM {
  const options = readOptions(given, table);
  const { numImages, nullClass, guidanceScale } = options;
  requireCount(options.classLabels?.length ?? 1, numImages);
  const labels = checkLabels(options, classLabels)?.flatMap((label) => Array<number>(numImages).fill(label));
  const isGuided = guidanceScale > 1;
  if (isGuided && (!labels || nullClass === undefined)) {
    throw new PipelineOptionError(
      `guidanceScale: ${guidanceScale}; guidance needs the class that means "no class". ` +
        (labels
          ? "Give it as nullClass, or a scale of 1."
          : "This network was trained without classes; give a scale of 1."),
    );
  }
  const shape = sampleShape(options, labels?.length ?? numImages, picture);
  return { ...options, labels, isGuided, steps: requestedSteps(given, options.numInferenceSteps), shape };
}

function checkLabels(
  { classLabels, nullClass }: ReadOptions<typeof DDPM_OPTIONS>,
  known: ClassLabels | undefined,
): readonly number[] | undefined {
  if (!known) {
    for (const [name, value] of Object.entries({ classLabels, nullClass })) {
      if (value === undefined) continue;
      throw new PipelineOptionError(
        `${name}: ${shown(value)}; this network was trained without classes; leave it out.`,
      );
    }
    return undefined;
  }
  const expected = known.kind === "ids" ? `whole numbers from 0 to ${known.count - 1}` : "numbers";
  requireOption(classLabels !== undefined, "classLabels", "missing", `${expected}, one for each picture`);
  const labels = Array.from(classLabels);
  const fits = (label: number) =>
    known.kind !== "ids" || (Number.isInteger(label) && label >= 0 && label < known.count);
  requireOption(labels.every(fits), "classLabels", `[${labels.join(", ")}]`, expected);
  requireOption(nullClass === undefined || fits(nullClass), "nullClass", nullClass, expected);
  return labels;
}
