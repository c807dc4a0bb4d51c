import * as tf from "@tensorflow/tfjs";
import { guide, type Plan, rescaleGuidance } from "@tfjs-diffusion/schedulers";
import type { ConditionalDenoiser, ImageStates } from "../../models/denoiser.js";
import { needsGuidance, predictGuided } from "../drawing/guidance.js";
import { rowsOfSlice, type Slice } from "../drawing/slices.js";
import { guidanceAt } from "../drawing/step-guidance.js";
import { isAdapted } from "./adapter.js";
import { type Condition, type Composition, conditionOfSlice, promptedHalf } from "./conditions.js";
import { type Control, controlResiduals } from "./control.js";
import { promptedStates, statesOfSlice } from "./ip-adapter.js";
import type { CheckedOptions } from "./stable-diffusion-options.js";
import { repeatRows } from "./text-conditioning.js";

/** The settings and inputs of all calls of the denoiser. Borrowed. */
export interface DenoiseRequest {
  unet: ConditionalDenoiser;
  /** The inputs of a call. */
  conditionOf: (index: number) => Condition;
  isGuided: boolean;
  /** Further channels of its input, [B, h, w, any]. */
  shown?: tf.Tensor4D | undefined;
  controls: readonly Control[];
  /** An adapter's features. */
  features?: readonly tf.Tensor4D[] | undefined;
  /** What IP-Adapters read, with guidance for both halves of the batch; empty without them. */
  states: Record<string, ImageStates[]>;
  checked: CheckedOptions;
  plan: Plan;
  /** The calls that are made. */
  first: number;
  end: number;
}

/** Computes the denoiser's output for a slice of a call's pictures, guided; the caller owns it. Runs in a tidy. */
export type StepDenoiser = (x: tf.Tensor4D, timestep: number, index: number, slice: Slice) => tf.Tensor4D;

/**
 * The denoiser with guidance and ControlNets. A step with guidance scale 1 computes only the half of the batch with the
 * prompts.
 */
export function stepDenoiser(request: DenoiseRequest): StepDenoiser {
  const { unet, conditionOf, isGuided, shown, controls, features, checked, plan, first, end } = request;
  const hasStates = Object.keys(request.states).length > 0;
  const { freeU, pagScale, perturbedLayers, guidanceRescale: rescale } = checked;
  return (x, timestep, index, slice) => {
    const condition = conditionOfSlice(conditionOf(index), slice);
    const seen = shown && rowsOfSlice(shown, slice);
    const states = statesOfSlice(request.states, slice);
    const step = { index: index - first, total: end - first, timestep };
    const { alpha, sigma } = plan.levels[index]!;
    const scale = isGuided ? guidanceAt(checked, { ...step, noise: sigma / alpha }) : 1;
    const forward = (batch: tf.Tensor4D, { context, inputs }: Condition, isDoubled: boolean, isPerturbed = false) => {
      const call = { ...step, x: batch, context, inputs, isGuided: isDoubled };
      const residuals = controlResiduals(controls, call);
      const channels = seen && (isDoubled ? tf.concat([seen, seen]) : seen);
      const input = channels ? tf.concat([batch, channels], 3) : batch;
      const isAdded = features && isAdapted(checked.adapter!, step);
      const settings = {
        ...(isAdded && { levelFeatures: features }),
        ...(hasStates && { imageStates: isGuided && !isDoubled ? promptedStates(states) : states }),
        ...(freeU && { freeU }),
        ...(isPerturbed && { perturbedLayers }),
      };
      return unet.forward(input, timestep, context, { ...inputs, ...residuals, ...settings });
    };
    const prompted = () => (isGuided ? promptedHalf(condition) : condition);
    const strength = perturbedScale(checked, timestep);
    const { composition } = condition;
    if (composition) {
      const others = () =>
        composition.others.map((other) => predictGuided(unet, x, (batch) => forward(batch, other, false)));
      const both = (batch: tf.Tensor4D) => composed(forward(batch, condition, true), others(), composition);
      return predictGuided(unet, x, both, { scale, rescale });
    }
    const isStepGuided = isGuided && needsGuidance(scale);
    if (pagScale === 0 || strength === 0) {
      return isStepGuided
        ? predictGuided(unet, x, (batch) => forward(batch, condition, true), { scale, rescale })
        : predictGuided(unet, x, (batch) => forward(batch, prompted(), false));
    }
    const [negative, positive] = isStepGuided
      ? tf.split(forward(tf.concat([x, x]), condition, true), 2)
      : [undefined, forward(x, prompted(), false)];
    const guided = negative ? guide(negative, positive as tf.Tensor4D, scale) : (positive as tf.Tensor4D);
    const away = positive.sub<tf.Tensor4D>(forward(x, prompted(), false, true));
    const pushed = guided.add<tf.Tensor4D>(away.mul(strength));
    return negative && rescale > 0 ? rescaleGuidance(pushed, positive as tf.Tensor4D, rescale) : pushed;
  };
}

/**
 * The scale of perturbed-attention guidance at a timestep: as in diffusers, it decreases from step to step, but not
 * below 0.
 */
function perturbedScale({ pagScale, pagAdaptiveScale }: CheckedOptions, timestep: number): number {
  return Math.max(pagScale - pagAdaptiveScale * (1000 - timestep), 0);
}

/**
 * Composed prompts (Liu et al. 2022, eq. 11): the prediction of the negative prompt, and the sum of it and of the
 * weighted differences from it, so that guidance multiplies that sum: e + s sum_k w_k (e_k - e).
 *
 * @param both the predictions of the negative prompt and of the first part
 */
function composed(both: tf.Tensor4D, others: readonly tf.Tensor4D[], { weights }: Composition): tf.Tensor4D {
  const [negative, first] = tf.split(both, 2) as [tf.Tensor4D, tf.Tensor4D];
  const sum = [first, ...others].reduce((sum, part, k) => {
    const ofPrompts = tf.tensor4d(weights[k]!, [weights[k]!.length, 1, 1, 1]);
    const ofPictures = repeatRows(ofPrompts, part.shape[0] / ofPrompts.shape[0]);
    return sum.add<tf.Tensor4D>(part.sub(negative).mul(ofPictures));
  }, negative);
  return tf.concat([negative, sum]);
}
