import type { ConditionalDenoiser } from "../../models/denoiser.js";
import type { FreeU } from "../../models/free-u.js";
import type { GuidanceStep } from "../drawing/step-guidance.js";
import { requireKnownOptions } from "../../platform/known-options.js";
import { PipelineOptionError } from "../options/errors.js";
import { between, callback, type ReadOptions, text } from "../options/option.js";
import { requireOption } from "../options/option-checks.js";

const share = {
  expected: "two numbers from 0 to 1, the second not below the first",
  fits: (value: unknown): value is readonly [number, number] =>
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((end, i) => typeof end === "number" && end >= (i === 0 ? 0 : value[0]) && end <= 1),
};

/** The options of guidance besides its scale. */
export const GUIDANCE_OPTIONS = {
  /**
   * Guide only these steps, as shares of all (Kynkaanniemi et al. 2024): [0.2, 0.8] of 10 steps guides 2 to 7. A step
   * without guidance costs half. Default: all steps.
   */
  guidanceInterval: share,
  /** In place of `guidanceScale`: the scale of each step, from its index, timestep and noise level. */
  guidanceFunction: callback<(step: GuidanceStep) => number>(),
  /**
   * Perturbed-attention guidance (Ahn et al. 2024): how strongly to lead away from a prediction in whose
   * `pagAppliedLayers` each pixel reads only itself. Each step then takes one more call. Default 0.
   */
  pagScale: between(0, 100, {
    default: 0,
    flag: { usage: "--pag-scale N", help: "how strongly to lead away from a prediction without self-attention" },
  }),
  /** How much `pagScale` falls for each timestep below 1000, as in diffusers. Default 0. */
  pagAdaptiveScale: between(0, 100, { default: 0 }),
  /**
   * The self-attention layers that `pagScale` changes: one or several regular expressions, each of which is looked for
   * in the layers' paths, such as "down_blocks.1" or "up_blocks.0.attentions.(0|2)". Default "mid".
   */
  pagAppliedLayers: text({
    flag: {
      usage: "--pag-layers NAME",
      help: "with --pag-scale: in which layers, such as down_blocks.1 (default mid)",
    },
  }),
  /** FreeU (Si et al. 2023): factors of the features and the skip connections of the two coarsest levels. */
  freeU: {
    expected: "four numbers above 0, such as { s1: 0.9, s2: 0.2, b1: 1.5, b2: 1.6 }",
    fits: (value: unknown): value is FreeU => {
      const { s1, s2, b1, b2 } = (value ?? {}) as Partial<FreeU>;
      return [s1, s2, b1, b2].every((factor) => typeof factor === "number" && factor > 0 && factor < Infinity);
    },
  },
};

type Guidance = ReadOptions<typeof GUIDANCE_OPTIONS>;

/**
 * The self-attention layers of the denoiser that perturbed-attention guidance changes; none without it.
 *
 * @throws PipelineOptionError for options that the denoiser cannot follow, or that have no effect beside the others
 */
export function fitGuidance(options: Guidance, denoiser: ConditionalDenoiser): string[] {
  const { guidanceFunction, guidanceInterval, pagScale, pagAdaptiveScale, pagAppliedLayers, freeU } = options;
  const guiding = Object.entries({ guidanceFunction, guidanceInterval }).find(([, value]) => value !== undefined);
  if (guiding && denoiser.guidanceWidth !== undefined) {
    throw new PipelineOptionError(
      `${guiding[0]}: this network was distilled with guidance and reads one guidanceScale; leave it out.`,
    );
  }
  if (freeU) {
    requireKnownOptions("freeU", freeU, ["s1", "s2", "b1", "b2"], PipelineOptionError);
    requireKnown("freeU", denoiser.isAdjustable === true);
  }
  const withScale = "a pagScale with it";
  requireOption(pagAdaptiveScale === 0 || pagScale > 0, "pagAdaptiveScale", pagAdaptiveScale, withScale);
  requireOption(
    pagAppliedLayers === undefined || pagScale > 0,
    "pagAppliedLayers",
    JSON.stringify(pagAppliedLayers),
    withScale,
  );
  if (pagScale === 0) return [];
  requireKnown("pagScale", denoiser.selfAttentions !== undefined);
  return matching([pagAppliedLayers ?? "mid"].flat(), denoiser.selfAttentions!);
}

/** @throws PipelineOptionError that names the option, unless the denoiser's class knows it */
export function requireKnown(option: string, isKnown: boolean): void {
  if (isKnown) return;
  throw new PipelineOptionError(`${option}: the denoiser (unet) is of a class that does not know it; leave it out.`);
}

/** The layers in whose names one of the patterns is found; each pattern must be found in one. */
function matching(patterns: readonly string[], layers: readonly string[]): string[] {
  const found = patterns.map((pattern) => {
    const expression = regularExpression(pattern);
    const own = layers.filter((name) => expression.test(name));
    if (own.length > 0) return own;
    throw new PipelineOptionError(
      `pagAppliedLayers: ${JSON.stringify(pattern)} is in the name of no self-attention layer; they are ${layers.join(", ") || "none"}.`,
    );
  });
  return [...new Set(found.flat())];
}

function regularExpression(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (error) {
    throw new PipelineOptionError(
      `pagAppliedLayers: ${JSON.stringify(pattern)} is no regular expression (${(error as Error).message}); give a part of a layer's name.`,
      { cause: error },
    );
  }
}
